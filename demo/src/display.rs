//! Shows the stages while they work: bars on a terminal, elsewhere a plain line each second.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Standing;

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The stages in order: name, unit, how far the stage is, how far the one before it is.
fn stages(standing: &Standing, commands: u64) -> [(&'static str, &'static str, u64, u64); 6] {
    [
        ("produce", "commands", standing.produced, commands),
        ("write", "commands", standing.decided, standing.produced),
        ("commit", "events", standing.committed, standing.committed),
        ("relay", "events", standing.published, standing.committed),
        ("reporting", "events", standing.reporting, standing.committed),
        ("search", "events", standing.search, standing.committed),
    ]
}

/// Shows standings.
pub struct Display {
    commands: u64,
    started: Instant,
    bars: Option<Vec<ProgressBar>>,
    last_line: Option<Instant>,
}

impl Display {
    /// For a load of so many commands, beginning now.
    pub fn new(commands: u64) -> Self {
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let bar = |_| all.add(ProgressBar::new(commands).with_style(style()));
            (0..6).map(bar).collect()
        });
        Self { commands, started: Instant::now(), bars, last_line: None }
    }

    /// Shows where the stages stand; `last` makes sure that it is seen.
    pub fn show(&mut self, standing: &Standing, last: bool) {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let stages = stages(standing, self.commands);
        if let Some(bars) = &self.bars {
            for (bar, (name, unit, done, goal)) in bars.iter().zip(stages) {
                let lag = goal.saturating_sub(done);
                bar.set_length(goal.max(done));
                bar.set_position(done);
                bar.set_prefix(name);
                bar.set_message(format!("{done:>7} {unit:<8} {:>7.0}/s  lag {lag}", done as f64 / seconds));
                if last {
                    bar.abandon();
                }
            }
        } else if last || self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            let stages = stages.map(|(name, _, done, goal)| {
                let rate = done as f64 / seconds;
                format!("{name} {done} ({rate:.0}/s, lag {})", goal.saturating_sub(done))
            });
            // a closed stderr must not end the work
            let _ = writeln!(std::io::stderr(), "{seconds:5.1} s  {}", stages.join("  "));
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>10} {bar:30} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
