//! `millrace monitor`: lag and the log's size as metrics, by a process that lives when others die.
//!
//! It asks Postgres and Kafka, never the other services. When one of the two is away it goes on with what the other
//! says; what can't be known meanwhile is not shown.

mod board;
mod metrics;
mod shown;

use std::time::{Duration, Instant};

use millrace_runtime::{Health, Settings, Shutdown, Trouble};

use crate::lag::{LogObserver, Observer};
use board::Board;
use metrics::{COMMANDS, LOOK_DURATION, UP};
use shown::Shown;

/// Commands are counted at most so often.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// Counting reads the whole inbox: it rests for so many times as long as it took.
const REST: u32 = 100;

/// Watches the log of the settings until shutdown.
///
/// # Errors
/// When a setting is missing or wrong. A server that does not answer is waited for.
pub async fn run(settings: &Settings, health: Health, shutdown: Shutdown) -> anyhow::Result<()> {
    let observer = Observer::new(settings)?;
    let board = Board::new(settings.log.parse()?);
    for server in ["kafka", "postgres"] {
        UP.with_label_values(&[server]).set(0);
    }
    millrace_runtime::show([&LOOK_DURATION]);
    let interval = Duration::from_millis(settings.monitor_interval_ms);
    tracing::info!(log = settings.log, ?interval, "watching");
    tokio::select! {
        () = watch(&observer, board, interval, &health) => {}
        () = count_commands(&observer.log) => {}
        () = shutdown.cancelled() => {}
    }
    Ok(())
}

async fn watch(observer: &Observer, mut board: Board, interval: Duration, health: &Health) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut kafka, mut postgres) = (Watched::new("Kafka"), Watched::new("Postgres"));
    loop {
        ticks.tick().await;
        health.beat();
        let began = Instant::now();
        let look = observer.look().await;
        LOOK_DURATION.observe(began.elapsed().as_secs_f64());
        board.show(&look);
        kafka.note(look.topics.as_ref().err(), health);
        postgres.note(look.log.as_ref().err(), health);
        health.set_started();
    }
}

/// A server, and the trouble with it while there is some.
struct Watched {
    server: &'static str,
    trouble: Option<Trouble>,
}

impl Watched {
    fn new(server: &'static str) -> Self {
        Self { server, trouble: None }
    }

    /// Tells of trouble when it begins and when it ends.
    fn note(&mut self, error: Option<&anyhow::Error>, health: &Health) {
        let server = self.server;
        match (error, &self.trouble) {
            (Some(error), None) => {
                tracing::warn!(server, error = format!("{error:#}"), "can't be looked at; trying on");
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

/// Counts commands by outcome, seldom.
async fn count_commands(log: &LogObserver) {
    let mut shown = Shown::new(&COMMANDS);
    loop {
        let began = Instant::now();
        let counts = log.commands().await.ok(); // why not, the looks tell
        shown.replace(counts.into_iter().flat_map(|counts| {
            let count =
                move |outcome: &str| (vec![outcome.to_owned()], counts.get(outcome).copied().unwrap_or(0) as f64);
            ["accepted", "rejected", "conflict"].map(count)
        }));
        tokio::time::sleep(COUNT_EVERY.max(began.elapsed() * REST)).await;
    }
}
