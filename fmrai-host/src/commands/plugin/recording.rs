//! The recorded batches that plugins are tried with: six short texts through a small BERT, every tensor kept.

use std::path::Path;

use crate::results::{WriteError, write};

/// The files of a folder of activations, as `docs/activations.md` describes it.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../../templates/recorded/", $name)).as_slice())),*]
    };
}

const FILES: [(&str, &[u8]); 6] = files![
    "graph.json",
    "vocabulary.json",
    "batches/000000.safetensors",
    "batches/000001.safetensors",
    "batches/000002.safetensors",
    "manifest.json",
];

/// Writes the recording into a folder, which is made.
pub(super) fn write_to(folder: &Path) -> Result<(), WriteError> {
    FILES.iter().try_for_each(|(name, bytes)| write(&folder.join(name), bytes))
}
