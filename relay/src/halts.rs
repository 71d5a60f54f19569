//! Which partitions are halted, as a fact in Postgres, where projectors and people find it. A task of its own writes it,
//! so that Postgres being away does not hold up publishing.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::backoff;
use millrace_store::{Log, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What Postgres is to say of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fact {
    /// It is halted; the topic was published up to this position.
    Halted(i64, String),
    /// It is published.
    GoesOn,
}

/// Of the partitions that this relay holds.
type Facts = BTreeMap<i32, Fact>;

/// Notes halts, and their ends.
pub(crate) struct Halts {
    facts: watch::Sender<Facts>,
    /// Dropped, it ends.
    _writing: JoinSet<()>,
}

impl Halts {
    /// Of a log. Call inside a tokio runtime.
    pub(crate) fn new(pool: Pool, log: Log) -> Self {
        let facts = watch::Sender::new(Facts::new());
        let writing = JoinSet::from_iter([keep(pool, log, facts.subscribe())]);
        Self { facts, _writing: writing }
    }

    /// A partition is halted.
    pub(crate) fn begin(&self, partition: i32, position: i64, reason: String) {
        self.facts.send_modify(|facts| drop(facts.insert(partition, Fact::Halted(position, reason))));
    }

    /// A partition is published. If Postgres says that it is halted, by whichever relay, that ends.
    pub(crate) fn end(&self, partition: i32) {
        self.facts.send_modify(|facts| drop(facts.insert(partition, Fact::GoesOn)));
    }

    /// A partition is another relay's from now on: what Postgres says of it stays, and is that one's.
    pub(crate) fn forget(&self, partition: i32) {
        self.facts.send_modify(|facts| facts.retain(|other, _| *other != partition));
    }
}

/// Writes the facts, and tries again until that has succeeded.
async fn keep(pool: Pool, log: Log, mut facts: watch::Receiver<Facts>) {
    let (mut written, mut delays, mut warned) = (Facts::new(), backoff(), false);
    loop {
        let now = facts.borrow_and_update().clone();
        written.retain(|partition, _| now.contains_key(partition));
        match write(&pool, &log, &now, &mut written).await {
            Ok(()) => {
                (delays, warned) = (backoff(), false);
                if facts.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%error, "which partitions are halted is not in Postgres yet; trying again");
                }
                tokio::time::sleep(delays.next().unwrap_or(LONGEST_WAIT)).await;
            }
        }
    }
}

async fn write(pool: &Pool, log: &Log, now: &Facts, written: &mut Facts) -> Result<(), StoreError> {
    for (&partition, fact) in now {
        if written.get(&partition) == Some(fact) {
            continue;
        }
        let client = pool.get().await?;
        match fact {
            Fact::Halted(position, reason) => log.halt(&client, partition, *position, reason).await?,
            Fact::GoesOn => {
                if log.end_halt(&client, partition).await? {
                    tracing::info!(partition, "the partition was halted and goes on");
                }
            }
        }
        written.insert(partition, fact.clone());
    }
    Ok(())
}
