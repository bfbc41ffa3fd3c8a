//! Built-in analyzers of fMRAi.
