//! The two streams of the program: answers go to stdout, everything else to stderr.
//!
//! A reader that has gone (`fmrai schema | head`) is no error: the rest is not written.

use std::io::{ErrorKind, Write};

use crate::error::Error;

/// Writes an answer to stdout, with a line feed at its end.
///
/// # Errors
/// [`Error::Internal`] if stdout is, say, a file on a full disk.
pub(crate) fn answer(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let line = format!("{}\n", text.trim_end_matches('\n'));
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Internal(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a part of an answer to stdout, as it comes.
///
/// # Errors
/// As [`answer`].
pub(crate) fn part(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Internal(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Shows on a terminal what is being done, in place of what was shown before; nothing elsewhere.
pub(crate) fn progress(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if std::io::IsTerminal::is_terminal(&stderr) {
        let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
    }
}

/// Writes a line to stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A text on one line, without spaces before it; what would steer a terminal is written out.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.trim_start().chars() {
        match c {
            '\n' => line.push('⏎'),
            '\r' => {}
            '\t' => line.push(' '),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}
