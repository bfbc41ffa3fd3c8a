//! How a process ended that should not have.

use std::process::ExitStatus;

/// A sentence without its subject being named: `it brings the process down with signal 6 (abort)`.
pub(crate) fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => " (illegal instruction)",
            6 => " (abort)",
            7 => " (bus error)",
            8 => " (arithmetic)",
            9 => " (killed)",
            11 => " (segmentation fault)",
            _ => "",
        };
        return format!("it brings the process down with signal {signal}{name}");
    }
    match status.code() {
        Some(code) => format!("it ends the process with exit code {code}"),
        None => "it ends the process".to_owned(),
    }
}
