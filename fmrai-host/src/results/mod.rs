//! Results as files: the folder that a run leaves behind. The format is public and described in `docs/results.md`.

pub mod analysis;
pub mod folder;
pub(crate) mod questions;
mod store;
pub mod summary;
mod table;
mod write;

pub(crate) use store::{QUESTIONS, in_memory};
pub use store::{STORE, StoreError, write_store};
pub use table::{from_csv, to_csv};
pub use write::{WriteError, write, write_json, write_with};
pub(crate) use write::{json_text, remove};

/// Version of the format of result files.
pub const FORMAT: u32 = 1;
