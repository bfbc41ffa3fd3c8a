//! Vocabulary of fMRAi.
