//! A broken house rule, and where.

use std::fmt;

/// Sorts by place, so that reports do not depend on the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Path from the root.
    path: String,
    /// Line, counted from one; none when it is about the whole file.
    line: Option<usize>,
    /// What is wrong and what would be right.
    text: String,
}

impl Problem {
    /// A problem of a file as a whole.
    pub(crate) fn of_file(path: &str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, text: text.into() }
    }

    /// A problem in one line, counted from zero as `enumerate` does.
    pub(crate) fn in_line(path: &str, index: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(index + 1), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{}:{line}: {}", self.path, self.text),
            None => write!(formatter, "{}: {}", self.path, self.text),
        }
    }
}
