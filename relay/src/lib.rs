//! The relay: publishes every committed event of a log to its event topic, in order, each once.
//!
//! Promises: per partition the topic is the log (the same events in the same order, nothing skipped), also after the
//! relay is killed at any point. What may be published next is always read from the tail of the topic itself; the
//! checkpoints in Postgres only reveal that Kafka has lost records. Several relays share the partitions as members of a
//! consumer group on the event topic; a partition is let go only after its last record was acknowledged.
//!
//! Not promised: fencing by the broker. A process that was stopped and wakes up after its session expired sends nothing
//! new, but what it had handed to librdkafka before (10,000 records or 16 MiB) can still arrive, as can what is on the
//! wire when a producer is thrown away. Such records are repeats with the positions they had; projectors drop them, and
//! the relay that owns the partition sees the foreign offsets, says so and reads the tail again.

mod bookkeeping;
mod connect;
mod decision;
mod error;
mod group;
mod handover;
mod held;
mod hint;
mod membership;
mod metrics;
mod page;
mod publish;
mod pulse;
mod rebalance;
mod record;
mod relay;
mod spans;
mod tail;
mod takeover;
mod window;

use millrace_runtime::{Health, Settings, Shutdown, Stopped};

pub use error::{Divergence, RelayError};

/// Publishes the log of `settings` until `shutdown`: then it finishes what is in flight, writes its checkpoints, leaves
/// the group and returns, within about five seconds. Postgres, Kafka or the registry being away is waited out. Ready
/// (in `health`) once all three have answered.
///
/// Dropped, it leaves the group too, but waits for nothing: the next owner finds by the tail how far it came. The future
/// is not `Send` (`retry` takes closures that lend): await it where the runtime was started, don't spawn it.
///
/// # Errors
/// What waiting does not mend: wrong settings, no such log, schemas not registered, or a topic and a log that
/// contradict each other ([`RelayError::Diverged`]).
pub async fn run(settings: &Settings, health: Health, shutdown: Shutdown) -> Result<(), RelayError> {
    let connected = connect::connect(settings, &health, &shutdown).await;
    let ran = match connected {
        Ok(connected) => relay::Relay::new(connected, health, shutdown)?.run().await,
        Err(stopped) => Err(stopped),
    };
    match ran {
        Ok(()) | Err(Stopped::Shutdown) => Ok(()),
        Err(Stopped::Failed(error)) => Err(error),
    }
}
