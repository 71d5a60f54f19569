//! Shows how far a rebuild is: a bar on a terminal, else a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// A bar of events.
pub(super) struct Bar {
    label: String,
    total: u64,
    /// What had been applied before.
    before: u64,
    began: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// A bar for `total` events.
    pub(super) fn new(projector: &str, what: &str, total: u64, before: u64) -> Self {
        let label = format!("{projector}: {what}");
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{msg} {bar:30} {human_pos} of {human_len} events, {per_sec}, {eta} to go";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style).with_message(label.clone())
        });
        let now = Instant::now();
        Self { label, total, before, began: now, said: now, bar }
    }

    /// So many were applied in all.
    pub(super) fn show(&mut self, applied: u64) {
        let done = applied.saturating_sub(self.before).min(self.total);
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.said.elapsed() >= EVERY => {
                self.said = Instant::now();
                let rate = done as f64 / self.began.elapsed().as_secs_f64();
                let left = (self.total - done) as f64 / rate.max(1.0);
                let Self { label, total, .. } = self;
                eprintln!("{label}: {done} of {total} events, {rate:.0} a second, {left:.0} s to go");
            }
            None => {}
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
