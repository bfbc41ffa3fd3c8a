//! How far a run is: a bar on a terminal, a line now and then elsewhere. All of it goes to stderr.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where stderr is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

/// Shows how far a run is.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
    first: u64,
}

impl Progress {
    /// Progress over `total` bytes of data.
    #[must_use]
    pub fn new(total: u64) -> Self {
        use std::io::IsTerminal;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = "{bar:30} {bytes} of {total_bytes}, {msg}, {eta} left";
            bar.set_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar
        });
        let now = Instant::now();
        Self { bar, started: now, told: now, first: 0 }
    }

    /// Starts to count from `texts`, those of an earlier run.
    pub fn from(&mut self, texts: u64) {
        self.first = texts;
        self.started = Instant::now();
    }

    /// Tells how many bytes and texts are done.
    pub fn set(&mut self, (bytes, total): (u64, u64), texts: u64) {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let rate = texts.saturating_sub(self.first) as f64 / seconds;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(bytes);
            bar.set_message(format!("{texts} texts, {rate:.1} texts/s"));
        } else if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            let percent = (bytes * 100).checked_div(total).unwrap_or(100);
            self.line(&format!("{texts} texts done, {percent} % of the data read, {rate:.1} texts/s"));
        }
    }

    /// Prints a line above the bar.
    pub fn line(&self, text: &str) {
        let print = || crate::terminal::note(text);
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
