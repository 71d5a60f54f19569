//! `millrace lag` prints how far behind each stage is. `millrace monitor` shows the same as metrics.

mod halted;
mod kafka;
mod observer;
mod pace;
mod places;
mod postgres;
mod stage;
mod table;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace_runtime::{Settings, on_signal};
use serde::Serialize;

use crate::cli::LagArguments;
use crate::connection::connect;
use crate::logs::Logs;
use crate::output::Output;
use crate::projector;
use crate::projectors::Paused;
use halted::Halted;
use pace::Row;

pub use observer::{Look, Observer};
pub use postgres::LogObserver;
pub use stage::{Behind, Stage};

/// Moves the cursor to the terminal's first line and clears the screen.
const REDRAW: &str = "\x1b[H\x1b[2J";

/// The result as JSON.
#[derive(Serialize)]
struct Lag<'a> {
    log: &'a str,
    at: String,
    /// Each stage; with `--partitions`, each followed by its partitions.
    rows: Vec<Row>,
    /// The partitions that a relay has halted.
    halted: Vec<Halted>,
    /// The projectors that somebody has paused.
    paused: BTreeMap<&'static str, Paused>,
}

/// Runs the command. The numbers are exact also when writers, relays and projectors are down.
pub async fn run(
    logs: &Logs,
    settings: &Settings,
    arguments: &LagArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let interrupted = on_signal()?;
    tokio::select! {
        shown = show(logs, settings, arguments, output) => shown?,
        () = interrupted.cancelled() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(logs: &Logs, settings: &Settings, arguments: &LagArguments, output: Output) -> anyhow::Result<()> {
    let client = connect(settings).await?;
    let read_models = projector::generations(&client, &logs.find(settings).await?, &settings.log.parse()?).await?;
    drop(client);
    let observer = Observer::new(settings, &read_models)?;
    let redraw = output == Output::Text && std::io::stdout().is_terminal();
    let mut before = Standing::try_from(observer.look().await)?;
    let mut looked = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs_f64(arguments.interval)).await;
        let mut now = Standing::try_from(observer.look().await)?;
        let elapsed = looked.elapsed();
        looked = Instant::now();
        let rows = now.rows_since(&before, elapsed).filter(|row| arguments.partitions || row.partition.is_none());
        let at = now.at.strftime("%FT%TZ").to_string();
        let rows = rows.collect();
        let (halted, paused) = (std::mem::take(&mut now.halted), std::mem::take(&mut now.paused));
        let lag = Lag { log: &settings.log, at, rows, halted, paused };
        if !arguments.watch {
            return output.print(&lag, text);
        }
        let behind: Vec<Row> = now.rows_since(&before, elapsed).filter(is_stage_or_behind).collect();
        let readers = output.print_line(&lag, |lag| if redraw { screen(lag, &behind) } else { line(lag) })?;
        if !readers {
            return Ok(());
        }
        before = now;
    }
}

/// How far all stages were at one moment. Needs an answer from both servers.
struct Standing {
    at: Timestamp,
    stages: Vec<Stage>,
    halted: Vec<Halted>,
    paused: BTreeMap<&'static str, Paused>,
}

impl TryFrom<Look> for Standing {
    type Error = anyhow::Error;

    fn try_from(look: Look) -> anyhow::Result<Self> {
        let stages = look.stages();
        look.topics?;
        let log = look.log?;
        let halted = log.halts.into_iter().map(Halted::from).collect();
        let paused = log.pauses.into_iter().filter_map(|(name, pause)| Some((name, pause?.into()))).collect();
        Ok(Self { at: look.at, stages, halted, paused })
    }
}

impl Standing {
    /// The rows of each stage: first all partitions together, then each partition.
    fn rows_since(&self, before: &Self, elapsed: Duration) -> impl Iterator<Item = Row> {
        let last = |stage: &Stage| before.stages.iter().find(|last| last.name == stage.name);
        self.stages.iter().flat_map(move |stage| pace::rows(last(stage), stage, elapsed))
    }
}

fn is_stage_or_behind(row: &Row) -> bool {
    row.partition.is_none() || row.behind > 0
}

fn text(lag: &Lag<'_>) -> String {
    with_held(table::table(&lag.rows), lag)
}

/// The screen of `--watch` on a terminal: the stages, and the partitions that are behind.
fn screen(lag: &Lag<'_>, behind: &[Row]) -> String {
    let Lag { log, at, .. } = lag;
    let shown = with_held(table::table(behind), lag);
    format!("{REDRAW}{at}  log {log}; partitions that are behind are shown; ctrl-c ends\n\n{shown}")
}

fn line(lag: &Lag<'_>) -> String {
    let halted = match lag.halted.len() {
        0 => String::new(),
        partitions => format!("  halted partitions {partitions}"),
    };
    let paused: String = lag.paused.keys().map(|name| format!("  {name} is paused")).collect();
    format!("{}  {}{halted}{paused}", lag.at, table::line(&lag.rows))
}

/// The table, followed by a line for each halted partition and each paused projector.
fn with_held(table: String, lag: &Lag<'_>) -> String {
    let halted = lag.halted.iter().map(Halted::line);
    let paused = lag.paused.iter().map(|(name, paused)| format!("{name} is {}", paused.line()));
    halted.chain(paused).fold(table, |text, line| format!("{text}\n{line}"))
}
