//! Reports to a caller who waits.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Receives the reports of `up` and `down`, in order, on the task that runs them.
pub trait Progress: Send + Sync {
    /// One line without its end, such as `kafka: ready in 3.1 s`.
    fn line(&self, text: &str);

    /// The fetch of the servers has brought `done` of `total` bytes. `done == total` comes once, at the end.
    fn fetched(&self, done: u64, total: u64);
}

/// Drops every report.
pub struct Silent;

impl Progress for Silent {
    fn line(&self, _text: &str) {}
    fn fetched(&self, _done: u64, _total: u64) {}
}

/// Writes to stderr: a bar where that is a terminal, a plain line per tenth elsewhere.
pub struct Console {
    bar: Option<ProgressBar>,
    last_tenth: Mutex<Option<u64>>,
}

impl Console {
    /// Decides here, once, between bar and lines.
    #[must_use]
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(bar_style());
            bar
        });
        Self { bar, last_tenth: Mutex::new(None) }
    }

    /// True for the first report of each tenth, so that a log gets eleven lines and not thousands.
    fn is_new_tenth(&self, done: u64, total: u64) -> bool {
        let tenth = done * 10 / total.max(1);
        let mut last = self.last_tenth.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = *last != Some(tenth);
        *last = Some(tenth);
        new
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Console {
    fn line(&self, text: &str) {
        match &self.bar {
            // `suspend` draws the bar afterwards, even if it has no length yet.
            Some(bar) if bar.length().is_some() => bar.suspend(|| write_line(text)),
            _ => write_line(text),
        }
    }

    fn fetched(&self, done: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                if done == total {
                    bar.finish_and_clear();
                }
            }
            None if self.is_new_tenth(done, total) => {
                write_line(&format!("fetching the servers: {} of {} MB", done / 1_000_000, total / 1_000_000));
            }
            None => {}
        }
    }
}

/// A closed stderr must not end the work, as `eprintln!` would by its panic.
fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn bar_style() -> ProgressStyle {
    ProgressStyle::with_template("fetching the servers {bar:40} {decimal_bytes}/{decimal_total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_log_gets_one_line_per_tenth() {
        let console = Console { bar: None, last_tenth: Mutex::new(None) };
        let lines = (0..=1000).filter(|done| console.is_new_tenth(*done, 1000)).count();
        assert_eq!(lines, 11);
    }

    #[test]
    fn the_bar_template_is_valid() {
        assert!(ProgressStyle::with_template("{bar:40} {decimal_bytes}/{decimal_total_bytes} {eta}").is_ok());
    }
}
