//! The stamp in an installed folder: which pins it was made from, and every file with its size.
//!
//! It is written last, so a folder without it is not whole; it names the pins, so a changed pin shows; and it lists the
//! files, so a deleted or cut-off one shows as well.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::error::SetupError;
use super::hash;
use super::wheel::Component;

/// Name of the stamp in the installed folder.
pub(crate) const STAMP_FILE: &str = "fmrai-setup.stamp";

/// A file of an installed folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRecord {
    /// Path in the folder.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) bytes: u64,
}

/// What is found where a component belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Every file is there, from the current pins.
    Whole,
    /// Nothing is there.
    Absent,
    /// Something is there that has to be replaced; says why.
    Unusable(String),
}

/// Writes the stamp of a finished folder.
pub(crate) fn write(folder: &Path, component: &Component, files: &[FileRecord]) -> Result<(), SetupError> {
    let mut text = header(component);
    for file in files {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "file {} {}", file.bytes, file.path);
    }
    let path = folder.join(STAMP_FILE);
    fs::write(&path, text).map_err(SetupError::io("written", &path))
}

/// Compares an installed folder with the pins and with its own stamp. Reads no file but the stamp.
pub(crate) fn inspect(folder: &Path, component: &Component) -> State {
    if folder.symlink_metadata().is_err() {
        return State::Absent;
    }
    let Ok(text) = fs::read_to_string(folder.join(STAMP_FILE)) else {
        return State::Unusable("it has no stamp of a finished set-up".to_owned());
    };
    let Some(files) = text.strip_prefix(&header(component)) else {
        return State::Unusable("it was made from other pins".to_owned());
    };
    for line in files.lines() {
        let Some((bytes, path)) = line.strip_prefix("file ").and_then(|rest| rest.split_once(' ')) else {
            return State::Unusable("its stamp is damaged".to_owned());
        };
        match fs::metadata(folder.join(path)) {
            Ok(found) if bytes.parse() == Ok(found.len()) => {}
            Ok(_) => return State::Unusable(format!("{path} has another size")),
            Err(_) => return State::Unusable(format!("{path} is missing")),
        }
    }
    State::Whole
}

/// The part of a stamp that the pins alone determine.
fn header(component: &Component) -> String {
    let mut text = "fmrai set-up\n".to_owned();
    for wheel in component.wheels {
        // Which files are taken and where they go counts as well: another choice is another installation.
        let picks = hash::of_bytes(format!("{:?}", wheel.picks).as_bytes());
        let _ = writeln!(text, "wheel {} {} {} picks {picks}", wheel.name, wheel.version, wheel.sha256);
    }
    let written = hash::of_bytes(format!("{:?}", component.written).as_bytes());
    let _ = writeln!(text, "written {written}");
    for joined in component.joined {
        let _ = writeln!(text, "joined {} {}", joined.path, joined.sha256);
    }
    text
}
