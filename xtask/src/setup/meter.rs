//! Progress of one long step: a bar on a terminal, a plain line every tenth elsewhere, if it is long.

use std::cell::Cell;
use std::io::IsTerminal;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Below this, plain lines on the way would only be noise.
const LONG: u64 = 64 << 20;

/// Shows how many of a known number of bytes are done.
#[derive(Debug)]
pub(crate) struct Meter {
    label: String,
    total: u64,
    bar: Option<ProgressBar>,
    tenths: Cell<u64>,
}

impl Meter {
    /// Starts to show `label` at nothing of `total` bytes.
    pub(crate) fn start(label: String, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = "{msg} [{bar:30}] {percent:>3}% of {total_bytes} ({bytes_per_sec})";
            // A template that indicatif refuses only costs the looks.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(label.clone());
            bar
        });
        if bar.is_none() {
            println!("{label}: {}", HumanBytes(total));
        }
        Self { label, total, bar, tenths: Cell::new(0) }
    }

    /// Shows that `done` bytes are there.
    pub(crate) fn set(&self, done: u64) {
        let done = done.min(self.total);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        if self.total < LONG {
            return;
        }
        let tenths = done.saturating_mul(10).checked_div(self.total).unwrap_or(0);
        if tenths > self.tenths.get() {
            self.tenths.set(tenths);
            println!("{}: {}% ({} of {})", self.label, tenths * 10, HumanBytes(done), HumanBytes(self.total));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
