//! Who is being called: code that is not this program's own, and may end it, bring it down or never come back.
//!
//! Before each call it is noted who is called, so that whoever finds the program dead or hanging can say so: the user who
//! interrupts it, the limit of a batch, and, where plugins are loaded, the process that watches over this one. That one reads a
//! file, so nothing has to work any more in the process that has died.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// A call that has not come back.
struct Call {
    number: u64,
    what: String,
    since: Instant,
}

/// The calls of a program, of which the one that began last is told: runs in several threads do not end theirs in turn.
struct Calls {
    current: Mutex<Vec<Call>>,
    record: OnceLock<File>,
}

static CALLS: Calls = Calls::new();

/// What the record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// No foreign code was running.
    Idle,
    /// This call had not come back.
    Calling(String),
    /// The program had come to its end, with this exit code.
    Done(i32),
}

/// Longest line of the record.
const LONGEST: usize = 2000;

/// Keeps a record of calls in a file that is there.
///
/// # Errors
/// What the system says if the file cannot be written.
pub(crate) fn record_to(file: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(file)?;
    let _ = CALLS.record.set(file);
    CALLS.note(&Said::Idle);
    Ok(())
}

/// Calls `call`, noting that this is the `stage` of `who`.
pub(crate) fn during<T>(stage: &str, who: &str, call: impl FnOnce() -> T) -> T {
    CALLS.during(stage, who, call)
}

/// The call that has not come back, in brackets, for who interrupts the program: it may never do; empty if there is none.
pub(crate) fn waiting() -> String {
    CALLS.waiting()
}

/// Notes that the program ends as it should, with this exit code.
pub(crate) fn done(code: i32) {
    CALLS.note(&Said::Done(code));
}

impl Calls {
    const fn new() -> Self {
        Self { current: Mutex::new(Vec::new()), record: OnceLock::new() }
    }

    fn during<T>(&self, stage: &str, who: &str, call: impl FnOnce() -> T) -> T {
        let what = format!("{stage} of {who}");
        self.note(&Said::Calling(what.clone()));
        let number = {
            let mut current = self.current();
            let number = current.last().map_or(0, |call| call.number + 1);
            current.push(Call { number, what, since: Instant::now() });
            number
        };
        let _back = Back { calls: self, number };
        call()
    }

    fn waiting(&self) -> String {
        let waiting =
            |call: &Call| format!(" ({}, for {} seconds)", call.what, call.since.elapsed().as_secs());
        self.current().last().map(waiting).unwrap_or_default()
    }

    fn current(&self) -> MutexGuard<'_, Vec<Call>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One write of one line at the start of the file: the kernel keeps it, whatever becomes of this process.
    fn note(&self, said: &Said) {
        let Some(file) = self.record.get() else { return };
        let line = said.line();
        #[cfg(unix)]
        let _ = std::os::unix::fs::FileExt::write_all_at(file, line.as_bytes(), 0);
        #[cfg(not(unix))]
        let _ = (file, line);
    }
}

/// Notes the end of a call, also where it panics.
struct Back<'a> {
    calls: &'a Calls,
    number: u64,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let mut current = self.calls.current();
        current.retain(|call| call.number != self.number);
        let what = current.last().map(|call| call.what.clone());
        drop(current);
        self.calls.note(&what.map_or(Said::Idle, Said::Calling));
    }
}

impl Said {
    fn line(&self) -> String {
        match self {
            Self::Idle => "idle\n".to_owned(),
            Self::Calling(what) => {
                let what: String = what.replace(['\n', '\r'], " ").chars().take(LONGEST).collect();
                format!("calling {what}\n")
            }
            Self::Done(code) => format!("done {code}\n"),
        }
    }

    /// What a record says, of which only the first line counts.
    pub(crate) fn read(record: &[u8]) -> Self {
        let line = record.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let code = line.strip_prefix("done ").and_then(|code| code.parse().ok());
        match (code, line.strip_prefix("calling ")) {
            (Some(code), _) => Self::Done(code),
            (_, Some(what)) => Self::Calling(what.to_owned()),
            _ => Self::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn calls_are_known_while_they_last_and_a_panic_ends_them() {
        let calls = Calls::new();
        let outer = calls.during("track_batch", "the analysis \"a\"", || {
            (calls.during("create", "b", || calls.waiting()), calls.waiting())
        });
        assert_eq!(outer.0, " (create of b, for 0 seconds)");
        assert_eq!(outer.1, " (track_batch of the analysis \"a\", for 0 seconds)");
        let drop = || calls.during("drop", "c", || panic!("as told"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(drop));
        assert!(panicked.is_err());
        assert_eq!(calls.waiting(), "");
    }

    #[test]
    fn calls_of_two_threads_end_in_any_order() {
        let (calls, both, one) = (Calls::new(), Barrier::new(2), Barrier::new(2));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                calls.during("prepare", "a", || {
                    both.wait();
                    one.wait();
                });
            });
            both.wait();
            calls.during("prepare", "b", || {
                one.wait();
                first.join().unwrap();
                assert_eq!(calls.waiting(), " (prepare of b, for 0 seconds)");
            });
        });
        assert_eq!(calls.waiting(), "");
    }

    #[test]
    fn only_the_first_line_of_a_record_counts() {
        for said in [Said::Idle, Said::Calling("prepare of x".into()), Said::Done(3)] {
            let record = [said.line().as_bytes(), b"calling what was there before\n"].concat();
            assert_eq!(Said::read(&record), said);
        }
        assert_eq!(Said::read(b""), Said::Idle);
        assert_eq!(Said::read(b"done \xff"), Said::Idle);
    }
}
