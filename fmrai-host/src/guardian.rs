//! A process that watches over the one in which plugins run.
//!
//! A plugin is native code in our process: it may call `exit`, crash, or be killed for want of memory, and then nothing in that
//! process can say so, nor choose its exit code. So a command that loads plugins runs in a child, and this process does nothing
//! but wait for it: it passes on signals, reads the record of calls when the child is gone, names who was called, and ends with
//! an exit code of the program's own. If this process dies first the system ends the child.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::calls::Said;
use crate::ended::how;
use crate::error::Exit;
use crate::{plugins, terminal};

/// The hidden option by which the child knows the record.
pub(crate) const OPTION: &str = "--guarded";

/// True if a plan, or what may be one, names plugins.
pub(crate) fn names_plugins(plan: &Path) -> bool {
    /// Plans are short; models, which may stand in a plan's place, are not.
    const LONGEST: u64 = 64 << 20;
    let read = || -> Option<Vec<u8>> {
        let file = std::fs::File::open(plan).ok()?;
        let meta = file.metadata().ok()?;
        if !meta.is_file() || meta.len() > LONGEST {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    let document: Option<serde_json::Value> = read().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let plugins = document.as_ref().and_then(|document| document.get("plugins")?.as_array());
    plugins.is_some_and(|plugins| !plugins.is_empty())
}

/// Runs this very command in a child and ends as it should have. `None` where there can be no child; the command then runs
/// here.
pub(crate) fn run() -> Option<i32> {
    let record = record()?;
    let program = std::env::current_exe().ok()?;
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let signals = Signals::watch().ok()?;
    let mut command = Command::new(program);
    command.arg(OPTION).arg(record.path()).args(arguments);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            terminal::note(&format!("error: there can be no process for plugins to run in: {error}"));
            return Some(Exit::Internal as i32);
        }
    };
    signals.pass_on(child.id());
    let status = child.wait();
    let interrupted = signals.seen();
    let said = std::fs::read(record.path()).unwrap_or_default();
    Some(match status {
        Ok(status) => verdict(status, &Said::read(&said), interrupted),
        Err(error) => {
            terminal::note(&format!("error: the process in which plugins run cannot be waited for: {error}"));
            Exit::Internal as i32
        }
    })
}

/// What the child says how it ended, and what it is.
fn verdict(status: ExitStatus, said: &Said, interrupted: bool) -> i32 {
    match (said, status.code()) {
        (Said::Done(code), ended) => {
            if ended != Some(*code) {
                let how = how(status);
                terminal::note(&format!("warning: all was done, but a library did not end well: {how}"));
            }
            *code
        }
        (_, Some(code)) if interrupted && code == Exit::Interrupted as i32 => code,
        (_, None) if interrupted && signal(status).is_some() => {
            signal(status).map_or(1, |signal| 128 + signal)
        }
        (Said::Calling(what), _) => {
            terminal::note(&format!(
                "error: {what}: {}; nothing more was done, --resume goes on from the last checkpoint of a run",
                how(status)
            ));
            Exit::Internal as i32
        }
        (Said::Idle, _) => {
            terminal::note(&format!(
                "error: the program was ended from within or without, not in a call of a plugin: {}",
                how(status)
            ));
            Exit::Internal as i32
        }
    }
}

/// The signal that ended a process, if it is one that people send.
fn signal(status: ExitStatus) -> Option<i32> {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = status.code().filter(|_| false);
    signal.filter(|signal| [1, 2, 3, 15].contains(signal))
}

/// A file in the first folder that takes one, which says who this process is.
fn record() -> Option<tempfile::NamedTempFile> {
    let make = |place: PathBuf| {
        let mut file = tempfile::Builder::new().prefix("fmrai-calls-").tempfile_in(place).ok()?;
        file.write_all(guardian(std::process::id()).as_bytes()).ok()?;
        Some(file)
    };
    let record = plugins::places().into_iter().find_map(make);
    if record.is_none() {
        // Nothing is logged yet where this is called.
        let what = "plugins run in this process: no folder takes a temporary file (TMPDIR names one)";
        terminal::note(&format!("warning: {what}"));
    }
    record
}

fn guardian(process: u32) -> String {
    format!("guardian {process}\n")
}

/// In the child: has the system end this process when the one that watches over it dies. False if it has died already.
pub(crate) fn follow(record: &Path) -> bool {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    let said = std::fs::read(record).unwrap_or_default();
    said == guardian(parent()).as_bytes()
}

#[cfg(unix)]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent() -> u32 {
    0 // nobody watches there
}

#[cfg(unix)]
struct Signals {
    seen: std::sync::Arc<std::sync::atomic::AtomicBool>,
    child: std::sync::Arc<std::sync::OnceLock<u32>>,
}

#[cfg(unix)]
impl Signals {
    /// Keeps the signals that end a program from ending this one before its child.
    fn watch() -> std::io::Result<Self> {
        use std::sync::atomic::Ordering;

        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        use signal_hook::iterator::SignalsInfo;
        use signal_hook::iterator::exfiltrator::origin::WithOrigin;
        use signal_hook::low_level::siginfo::Cause;

        let watched = Self { seen: std::sync::Arc::default(), child: std::sync::Arc::default() };
        let (seen, child) = (std::sync::Arc::clone(&watched.seen), std::sync::Arc::clone(&watched.child));
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                seen.store(true, Ordering::SeqCst);
                // A terminal sends its signals to the child as well.
                if signal.cause == Cause::Kernel {
                    continue;
                }
                let to = child.wait();
                if let (Ok(to), Ok(signal)) =
                    (i32::try_from(*to), nix::sys::signal::Signal::try_from(signal.signal))
                {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(to), signal);
                }
            }
        })?;
        Ok(watched)
    }

    fn pass_on(&self, child: u32) {
        let _ = self.child.set(child);
    }

    fn seen(&self) -> bool {
        self.seen.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn watch() -> std::io::Result<Self> {
        // Without a record of calls there is nothing to tell: plugins run in this process.
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn pass_on(&self, _: u32) {}

    fn seen(&self) -> bool {
        false
    }
}
