//! The `fmrai` program.
fn main() {}
