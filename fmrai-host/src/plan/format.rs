//! What the format of plans lays down.

/// Version of the plan format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
