//! The relay: publishes every committed event of a log to its event topic, in order, each once.
//!
//! Promises: per partition the topic is the log (the same events in the same order, byte for byte, nothing skipped), also
//! after the relay is killed at any point. The tail of the topic itself says what comes next; the checkpoints in Postgres
//! only reveal that Kafka has lost records. A partition in which Postgres and the topic contradict each other, or which
//! Kafka does not take, holds up no other: the first halts, is noted in Postgres, and goes on by itself once it is mended;
//! the second waits. Several relays share the partitions as members of a consumer group on the event topic; a relay lets a
//! partition go only after Kafka has acknowledged its last record.
//!
//! Not promised: fencing by the broker. A process that was stopped and wakes up after its session expired sends nothing
//! new, but what it had handed to librdkafka before (10,000 records or 16 MiB) can still arrive, as can what is on the
//! wire when a producer is thrown away. Such records are repeats with the positions they had; projectors drop them, and
//! the relay that owns the partition sees the foreign offsets, says so and reads the tail again.
//!
//! The parts, and who calls whom: [`relay`] is the loop and calls all others. `group` (the membership), `partitions` (what
//! is held, and how it is), `takeover` (where a partition goes on), `pages` (reading), `delivery` (publishing),
//! `bookkeeping` and `halts` (what is written to Postgres) don't call each other; `partitions` owns the membership.

mod bookkeeping;
mod connect;
mod delivery;
mod error;
mod group;
mod halts;
mod metrics;
mod pages;
mod partitions;
mod relay;
mod takeover;

use millrace_runtime::{Health, Settings, Shutdown, Startup, Stopped};

pub use error::RelayError;

/// Publishes the log of `settings` until `shutdown`: then it finishes what is in flight, writes its checkpoints, leaves
/// the group and returns, within about five seconds. Started (in `health`) once Postgres and Kafka have answered; not
/// ready while a partition has diverged.
///
/// Dropped, it leaves the group too, but waits for nothing: the next owner finds by the tail how far it came. The future
/// is not `Send` (`retry` takes closures that lend): await it where the runtime was started, don't spawn it.
///
/// # Errors
/// What waiting does not mend: wrong settings, no such log, or a topic with another number of partitions.
pub async fn run(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), RelayError> {
    let startup = Startup::new(settings, health, shutdown)?;
    let ran = match connect::connect(&startup).await {
        Ok(connected) => relay::Relay::new(connected, startup.health, startup.shutdown)?.run().await,
        Err(stopped) => Err(stopped),
    };
    ran.or_else(Stopped::as_result)
}
