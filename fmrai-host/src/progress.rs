//! How far a run is: a bar on a terminal, a line now and then elsewhere. All of it goes to stderr.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::events::{Event, Observer};
use crate::plan::Bytes;

/// Between two lines where stderr is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

/// Shows how far a run is, as long as it goes through its data.
#[derive(Debug, Default)]
pub struct Progress {
    shown: Mutex<Option<Shown>>,
}

#[derive(Debug)]
struct Shown {
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
    /// Texts of an earlier run.
    first: u64,
    /// What the run takes, until it is told: a run that is soon over has nothing to tell of it.
    memory: Option<String>,
}

impl Progress {
    /// Shows nothing before the run begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Observer for Progress {
    fn observe(&self, event: &Event) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { texts, of, weights, pass, kept, held, .. } => {
                let memory = pass.map(|pass| memory(*weights, pass, *kept, *held));
                *shown = Some(Shown::new(*of, *texts, memory));
            }
            Event::Batch { texts, read, of, .. } => {
                if let Some(shown) = shown.as_mut() {
                    shown.set(*read, *of, *texts);
                }
            }
            Event::Concluding { .. } | Event::Done { .. } => *shown = None,
            _ => {}
        }
    }
}

/// What a run takes, as far as it is known at its start.
fn memory(weights: u64, pass: u64, kept: u64, held: Option<u64>) -> String {
    let held = held.map(|held| format!("; {} are held now", Bytes(held))).unwrap_or_default();
    let (weights, pass, kept) = (Bytes(weights), Bytes(pass), Bytes(kept));
    format!("memory: weights {weights}, a pass of the first batch {pass}, tensors kept of it {kept}{held}")
}

impl Shown {
    fn new(total: u64, first: u64, memory: Option<String>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = "{bar:30} {bytes} of {total_bytes}, {msg}, {eta} left";
            bar.set_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        let now = Instant::now();
        let mut shown = Self { bar, started: now, told: now, first, memory };
        if shown.bar.is_some() {
            shown.tell_memory();
        }
        shown
    }

    fn tell_memory(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        match &self.bar {
            Some(bar) => bar.println(memory),
            None => crate::terminal::note(&memory),
        }
    }

    fn set(&mut self, bytes: u64, total: u64, texts: u64) {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let rate = texts.saturating_sub(self.first) as f64 / seconds;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(bytes);
            bar.set_message(format!("{texts} texts, {rate:.1} texts/s"));
        } else if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            self.tell_memory();
            let percent = (bytes * 100).checked_div(total).unwrap_or(100);
            crate::terminal::note(&format!("{texts} texts done, {percent} % of the data, {rate:.1} texts/s"));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
