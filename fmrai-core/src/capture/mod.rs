//! Capture on libtorch: module scopes.

/// Ends the module scope when dropped.
#[derive(Debug)]
#[must_use = "the scope ends when this is dropped: bind it to a name"]
pub struct Scope(());

/// Runs what follows inside the module `name`.
pub fn scope(_name: impl AsRef<str>) -> Scope {
    Scope(())
}
