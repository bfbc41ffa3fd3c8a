//! Laws of recorded graphs and their files.
