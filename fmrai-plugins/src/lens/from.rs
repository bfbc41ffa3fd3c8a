//! What can be read.

/// What a vector is, before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The stream as blocks and the map read it; [`settled`](super::settled()) has the tensors.
    Stream,
    /// Something that is added to the stream, taken for the whole sum.
    Sum,
}
