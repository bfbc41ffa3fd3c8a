//! Room on the disk, asked before the first byte is fetched.

use std::path::Path;

use indicatif::HumanBytes;

use super::error::SetupError;
use super::install::Place;
use super::store;
use super::wheel::Component;

/// For folders, and for what a file takes beyond its size.
const MARGIN: u64 = 200_000_000;

/// The most that installing `components` one after the other takes beyond what is there now.
pub(crate) fn needed(components: &[&Component], place: &Place) -> u64 {
    let downloads = place.downloads();
    let mut installed = 0;
    let mut peak = 0;
    for component in components {
        let wheels = store::missing_bytes(component.wheels, &downloads);
        let largest = component.wheels.iter().map(|wheel| wheel.bytes).max().unwrap_or(0);
        // pip keeps a second copy of a wheel while it hands it over, before anything is unpacked.
        let transient = if wheels > 0 { largest } else { 0 };
        peak = peak.max(installed + wheels + transient.max(component.installed_bytes));
        installed += component.installed_bytes;
    }
    peak + MARGIN
}

/// Fails if less than `need` bytes are free on the disk of `folder`.
pub(crate) fn check(folder: &Path, need: u64) -> Result<(), SetupError> {
    let found = fs4::available_space(folder).map_err(SetupError::io("examined", folder))?;
    compare(folder, need, found)
}

fn compare(folder: &Path, need: u64, found: u64) -> Result<(), SetupError> {
    if found >= need {
        return Ok(());
    }
    Err(SetupError::NoRoom {
        folder: folder.to_path_buf(),
        need: HumanBytes(need).to_string(),
        found: HumanBytes(found).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::pins::{DEMO_MODEL, LIBTORCH};
    use super::*;

    #[test]
    fn the_message_names_both_sizes() {
        let text = compare(Path::new("here"), 3 << 30, 1 << 30).unwrap_err().to_string();
        assert!(text.contains("3.00 GiB") && text.contains("1.00 GiB"), "{text}");
        assert!(compare(Path::new("here"), 5, 5).is_ok());
    }

    #[test]
    fn the_peak_covers_the_second_copy_of_the_largest_wheel() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().to_path_buf());
        let need = needed(&[&LIBTORCH, &DEMO_MODEL], &place);
        assert!(need > 2 * LIBTORCH.wheels[0].bytes);
        assert!(need < 2_500_000_000, "{need}");
    }

    #[test]
    fn this_disk_can_be_asked() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path(), 0).is_ok());
        assert!(check(folder.path(), u64::MAX).is_err());
    }
}
