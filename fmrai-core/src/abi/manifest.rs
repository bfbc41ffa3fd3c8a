//! The manifest: what a host reads from a library file before any code of it runs.

use serde::{Deserialize, Serialize};

use super::raw::PANIC_ABORT;
use super::{ABI_MAJOR, ABI_MINOR};

/// The first bytes of a manifest, `fMRAiABI` in memory.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"fMRAiABI");
/// Bytes before the JSON.
const PREFIX: usize = 24;

pub(super) const FLAGS: u32 = if cfg!(panic = "abort") { PANIC_ABORT } else { 0 };

/// The section of a plugin's file that holds its manifest; made by [`export_plugin!`](crate::export_plugin).
#[doc(hidden)]
#[repr(C)]
pub struct ManifestSection<const N: usize> {
    magic: u64,
    major: u32,
    minor: u32,
    flags: u32,
    reserved: u32,
    json: [u8; N],
}

impl<const N: usize> ManifestSection<N> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut json = [0; N];
        let mut i = 0;
        while i < bytes.len() && i < N {
            json[i] = bytes[i];
            i += 1;
        }
        Self { magic: MAGIC, major: ABI_MAJOR, minor: ABI_MINOR, flags: FLAGS, reserved: 0, json }
    }
}

#[cfg(test)]
impl<const N: usize> ManifestSection<N> {
    /// The section as it stands in a file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { magic, major, minor, flags, reserved, json } = self;
        let numbers = [major, minor, flags, reserved].map(|n| n.to_le_bytes()).concat();
        [&magic.to_le_bytes()[..], &numbers, json].concat()
    }
}

/// What a plugin's file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Major version of the ABI that it speaks; has to be the host's.
    pub abi_major: u32,
    /// Minor version of it.
    pub abi_minor: u32,
    /// True if a panic in it would end the process.
    pub aborts: bool,
    /// Who made it.
    pub about: About,
}

/// The JSON of a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Name of the plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The exact version of libtorch that it links, if it does.
    #[serde(default)]
    pub libtorch: Option<String>,
}

impl Manifest {
    /// The manifest in the bytes of a `.fmrai` section of a little-endian file. The version is known even where the JSON
    /// cannot be read, so a newer plugin is told apart from a broken one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the bytes.
    pub fn read(section: &[u8]) -> Result<Self, String> {
        let (prefix, json) = section.split_at_checked(PREFIX).ok_or("its manifest is cut off")?;
        let number = |at: usize| {
            prefix.get(at..at + 4).map_or(0, |b| b.iter().rev().fold(0, |n, x| n << 8 | u32::from(*x)))
        };
        if prefix[..8] != MAGIC.to_le_bytes() {
            return Err("its section .fmrai is not a manifest".to_owned());
        }
        let (abi_major, abi_minor, flags) = (number(8), number(12), number(16));
        let text = json.split(|byte| *byte == 0).next().unwrap_or_default();
        let about = serde_json::from_slice(text);
        let about = match about {
            Ok(about) => about,
            // Its JSON may be of another form; what counts is that it cannot be loaded.
            Err(_) if abi_major != ABI_MAJOR => {
                About { name: String::new(), version: String::new(), libtorch: None }
            }
            Err(error) => return Err(format!("its manifest cannot be read: {error}")),
        };
        Ok(Self { abi_major, abi_minor, aborts: flags & PANIC_ABORT != 0, about })
    }
}
