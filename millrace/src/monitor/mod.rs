//! `millrace monitor` shows lag and the log's size as metrics, also while other services are down.
//!
//! It asks Postgres and Kafka, never the other services. When one of the two does not answer, it still shows the
//! other's numbers and removes the unknown ones. Since it always runs, it also creates the log's monthly tables ahead
//! of time.

mod board;
mod metrics;
mod shown;

use std::time::{Duration, Instant};

use millrace_runtime::{Health, Settings, Shutdown, Trouble};

use crate::lag::{LogObserver, Observer};
use crate::logs::{self, Logs};
use crate::projector::Generations;
use board::Board;
use metrics::{COMMANDS, LOOK_DURATION, UP};
use shown::Shown;

/// Shortest time between two counts of the commands.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// A count reads a whole table, so the next one comes after this many times as long as it took.
const REST: u32 = 100;
/// How often to ask which read models there are, and which generation of each is live.
const NAMES_EVERY: Duration = Duration::from_secs(10);
/// How often to create missing tables for this month and the next.
const MONTHS_EVERY: Duration = Duration::from_secs(3600);
/// How soon to try again when Postgres did not answer.
const MONTHS_AGAIN: Duration = Duration::from_secs(60);

/// Watches the log in the settings until shutdown.
///
/// # Errors
/// When a setting is missing or wrong. If a server does not answer, the monitor tries again.
pub async fn run(logs: &Logs, settings: &Settings, health: Health, shutdown: Shutdown) -> anyhow::Result<()> {
    let log = match logs.wait_for(settings, &health, &shutdown).await {
        Ok(log) => log,
        Err(stopped) => return stopped.as_result(),
    };
    let postgres = LogObserver::new(settings, Vec::new())?;
    let watcher = Watcher { log, settings, postgres: &postgres };
    let board = Board::new(settings.log.parse()?);
    for server in ["kafka", "postgres"] {
        UP.with_label_values(&[server]).set(0);
    }
    millrace_runtime::show([&LOOK_DURATION]);
    let interval = Duration::from_millis(settings.monitor_interval_ms);
    tracing::info!(log = settings.log, ?interval, "watching");
    tokio::select! {
        ended = watcher.watch(board, interval, &health) => ended?,
        () = count_commands(&postgres) => {}
        () = make_months(&postgres) => {}
        () = shutdown.cancelled() => {}
    }
    Ok(())
}

/// Looks at everything, again and again.
struct Watcher<'s> {
    log: logs::Log,
    settings: &'s Settings,
    postgres: &'s LogObserver,
}

impl Watcher<'_> {
    async fn watch(&self, mut board: Board, interval: Duration, health: &Health) -> anyhow::Result<()> {
        // until Postgres answers
        let first = self.log.projectors().iter().map(|projector| (projector.name(), 1)).collect();
        let mut read_models: Generations = first;
        let mut observer = Observer::new(self.settings, &read_models)?;
        let mut asked: Option<Instant> = None;
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut kafka, mut postgres) = (Watched::new("Kafka"), Watched::new("Postgres"));
        loop {
            ticks.tick().await;
            health.beat();
            if asked.is_none_or(|asked| asked.elapsed() >= NAMES_EVERY)
                && let Ok(now) = self.postgres.read_models(&self.log).await
            {
                asked = Some(Instant::now());
                if now != read_models {
                    tracing::info!(generations = ?now, "watching these read models");
                    observer = Observer::new(self.settings, &now)?;
                    read_models = now;
                }
            }
            let began = Instant::now();
            let look = observer.look().await;
            LOOK_DURATION.observe(began.elapsed().as_secs_f64());
            board.show(&look);
            kafka.note(look.topics.as_ref().err(), health);
            postgres.note(look.log.as_ref().err(), health);
            health.set_started();
        }
    }
}

/// A server, and our trouble with it, if any.
struct Watched {
    server: &'static str,
    trouble: Option<Trouble>,
}

impl Watched {
    fn new(server: &'static str) -> Self {
        Self { server, trouble: None }
    }

    /// Logs when trouble begins and when it ends, but not every failure in between.
    fn note(&mut self, error: Option<&anyhow::Error>, health: &Health) {
        let server = self.server;
        match (error, &self.trouble) {
            (Some(error), None) => {
                tracing::warn!(server, error = format!("{error:#}"), "does not answer as it should; asking again");
                self.trouble = Some(health.trouble());
            }
            (None, Some(_)) => {
                tracing::info!(server, "answers again");
                self.trouble = None;
            }
            _ => {}
        }
    }
}

/// Counts the commands now and then, and shows the number.
async fn count_commands(log: &LogObserver) {
    let mut shown = Shown::new(&COMMANDS);
    loop {
        let began = Instant::now();
        let count = log.command_count().await.ok(); // if Postgres does not answer, the looks log it
        shown.replace(count.map(|count| (vec![], count as f64)));
        tokio::time::sleep(COUNT_EVERY.max(began.elapsed() * REST)).await;
    }
}

/// Creates the log's monthly tables ahead of time, so that no append has to. An append would create a missing one
/// itself, so a failure here is only a warning.
async fn make_months(log: &LogObserver) {
    loop {
        let next = match log.make_months().await {
            Ok(()) => MONTHS_EVERY,
            Err(error) if error.is_transient() => MONTHS_AGAIN, // the looks log that Postgres does not answer
            Err(error) => {
                tracing::warn!(%error, "could not create the coming month's tables; trying again in an hour");
                MONTHS_EVERY
            }
        };
        tokio::time::sleep(next).await;
    }
}
