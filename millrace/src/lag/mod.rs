//! `millrace lag`: how far behind each stage is. `millrace monitor` shows the same as metrics.

mod kafka;
mod observer;
mod pace;
mod places;
mod postgres;
mod stage;
mod table;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use millrace_runtime::{Settings, on_signal};
use serde::Serialize;

use crate::cli::LagArguments;
use crate::output::Output;
use pace::Row;

pub use observer::{Look, Observer};
pub use postgres::LogObserver;
pub use stage::{Behind, Stage};

/// Clears the terminal and goes to its beginning.
const REDRAW: &str = "\x1b[H\x1b[2J";

/// What is printed.
#[derive(Serialize)]
struct Lag<'a> {
    log: &'a str,
    at: String,
    rows: Vec<Row>,
}

/// The command. Exact also when writers, relays and projectors are down.
pub async fn run(settings: &Settings, arguments: &LagArguments, output: Output) -> anyhow::Result<ExitCode> {
    let interrupted = on_signal()?;
    tokio::select! {
        shown = show(settings, arguments, output) => shown?,
        () = interrupted.cancelled() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(settings: &Settings, arguments: &LagArguments, output: Output) -> anyhow::Result<()> {
    let observer = Observer::new(settings)?;
    let redraw = output == Output::Text && std::io::stdout().is_terminal();
    let mut before = stages(observer.look().await)?;
    let mut looked = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs_f64(arguments.interval)).await;
        let look = observer.look().await;
        let at = look.at.strftime("%FT%TZ").to_string();
        let now = stages(look)?;
        let elapsed = looked.elapsed();
        looked = Instant::now();
        let last = |stage: &Stage| before.iter().find(|last| last.name == stage.name);
        let rows = now.iter().flat_map(|stage| pace::rows(last(stage), stage, elapsed)).collect();
        before = now;
        let lag = Lag { log: &settings.log, at, rows };
        if !arguments.watch {
            return output.print(&lag, |lag| table::table(&lag.rows));
        }
        let readers = output.print_line(&lag, |lag| if redraw { screen(lag) } else { line(lag) })?;
        if !readers {
            return Ok(());
        }
    }
}

/// All stages; both servers have to answer for that.
fn stages(look: Look) -> anyhow::Result<Vec<Stage>> {
    let stages = look.stages();
    look.topics?;
    look.log?;
    Ok(stages)
}

/// What fits on a terminal: the stages, and the partitions that are behind.
fn screen(lag: &Lag<'_>) -> String {
    let shown = lag.rows.iter().filter(|row| row.partition.is_none() || row.behind > 0);
    format!(
        "{REDRAW}{}  log {}; partitions that are behind are shown; ctrl-c ends\n\n{}",
        lag.at,
        lag.log,
        table::table(shown)
    )
}

fn line(lag: &Lag<'_>) -> String {
    format!("{}  {}", lag.at, table::line(&lag.rows))
}
