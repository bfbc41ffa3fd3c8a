//! What the format of plans lays down.

/// Version of the plan format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What an analysis may be called: its name is a folder's name.
pub(super) const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$";
