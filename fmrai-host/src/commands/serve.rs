//! `fmrai serve`.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use crate::error::{Error, Exit};
use crate::serve::{Server, Settings};
use crate::terminal;

/// Serves runs until it is interrupted.
pub(crate) fn serve(settings: Settings, open: bool) -> Result<Exit, Error> {
    for folder in &settings.folders {
        if !folder.is_dir() {
            return Err(Error::Usage(format!("{} is no folder", folder.display())));
        }
    }
    if !settings.address.is_loopback() {
        terminal::note(&format!(
            "warning: {} is open to other machines: whoever has the address below sees everything that is served",
            settings.address
        ));
    }
    let interrupted = crate::interrupts::watch()?;
    let server = Server::bind(settings)?;
    terminal::answer(server.url())?;
    terminal::note("serving until Ctrl-C; keep the address to yourself, it is the key");
    if open {
        browse(server.url());
    }
    server.run(|| interrupted.load(Ordering::Relaxed))?;
    Ok(Exit::Success)
}

/// Opens the address with what the system opens addresses with.
fn browse(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = started {
        terminal::note(&format!("no browser was opened: {program}: {error}"));
    }
}
