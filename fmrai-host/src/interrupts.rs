//! Ctrl-C, and the signals by which a system asks a program to end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::error::{Error, Exit};
use crate::{calls, terminal};

/// A flag that the first interrupt sets: the run then ends where nothing is lost by it. A second one ends the process at once,
/// which leaves what a kill leaves.
///
/// # Errors
/// [`Error::Internal`] where the system refuses to tell of signals.
pub(crate) fn watch() -> Result<Arc<AtomicBool>, Error> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let register = || {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In the handler itself, and without a destructor: an analyzer that hangs holds up neither.
            flag::register_conditional_shutdown(signal, Exit::Interrupted as i32, Arc::clone(&interrupted))?;
            flag::register(signal, Arc::clone(&interrupted))?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        std::thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
            if signals.forever().next().is_some() {
                let waiting = calls::waiting();
                terminal::note(&format!(
                    "stopping as soon as nothing is lost by it{waiting}; once more to stop at once"
                ));
            }
        })
    };
    register().map_err(|e: std::io::Error| Error::Internal(format!("interrupts cannot be watched: {e}")))?;
    Ok(interrupted)
}
