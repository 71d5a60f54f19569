//! Where the writer goes on reading the command topic. Postgres decides that, not Kafka.
//!
//! Usually Kafka's committed offset is behind Postgres: the commands between are committed, but their outcomes are not
//! sent. The writer goes on at Kafka's offset. If Kafka's offset is ahead, Postgres was restored, and the writer reads
//! the commands between again. Commands that the topic no longer has and Postgres never had are lost; the writer counts
//! them and logs an error.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_runtime::backoff;
use millrace_runtime::kafka::{Offsets, Standing, StartOffsets};
use millrace_store::{Log, StoreError};
use rdkafka::error::KafkaError;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::metrics::{MISSING, REREAD};
use crate::progress::KnownOffsets;

/// What is said of commands that expired.
const GONE: &str = "commands are gone from the topic before they were read: they expired, or somebody deleted them. Their \
                    senders got no outcome";

/// Where to begin in one partition, and what is wrong with it, if anything.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    offset: i64,
    flaw: Option<Flaw>,
}

/// A contradiction between Postgres and Kafka.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    /// The topic no longer has this many offsets, and no writer has read them.
    Missing(i64),
    /// Kafka's committed offset is this far ahead of Postgres.
    Ahead(i64),
    /// The topic ends before the offset that Postgres has: it was deleted and created again, or has lost its end.
    MadeAnew,
}

/// A function for the consumer, which calls it when it is assigned partitions. Asks Postgres until Postgres answers, and
/// notes its answers in `known`.
pub fn start_offsets(pool: &Pool, log: &Log, known: KnownOffsets) -> StartOffsets {
    let (postgres, runtime) = ((pool.clone(), log.clone()), Handle::current());
    Box::new(move |standings, stop| runtime.block_on(starts(&postgres, &known, standings, stop)))
}

async fn starts(
    postgres: &(Pool, Log),
    known: &KnownOffsets,
    standings: &[Standing],
    stop: &CancellationToken,
) -> HashMap<i32, i64> {
    let mut delays = backoff();
    loop {
        match try_starts(postgres, known, standings).await {
            Ok(starts) => return starts,
            Err(error) => {
                tracing::warn!(%error, "Postgres does not say where to go on in the command topic; asking again")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(5))) => {}
            () = stop.cancelled() => return HashMap::new(),
        }
    }
}

async fn try_starts(
    (pool, log): &(Pool, Log),
    known: &KnownOffsets,
    standings: &[Standing],
) -> Result<HashMap<i32, i64>, StoreError> {
    let client = pool.get().await?;
    let stored = log.command_offsets(&client).await?;
    let mut starts = HashMap::new();
    for standing in standings {
        let partition = standing.partition;
        let stored = stored.get(&partition).copied();
        let Start { offset, flaw } = start(standing, stored);
        let is_reset = matches!(flaw, Some(Flaw::Missing(_) | Flaw::MadeAnew));
        match flaw {
            Some(Flaw::Missing(missing)) => {
                tracing::error!(partition, offset, missing, "{GONE}");
                // so that the next writer does not count them again
                log.reset_command_offset(&client, partition, offset).await?;
                MISSING.inc_by(missing.unsigned_abs());
            }
            Some(Flaw::Ahead(by)) => {
                tracing::warn!(
                    partition,
                    offset,
                    by,
                    "Kafka's offset is ahead of Postgres' (was Postgres restored?): reading the commands between again"
                );
                REREAD.inc_by(by.unsigned_abs());
            }
            Some(Flaw::MadeAnew) => {
                tracing::error!(
                    partition,
                    offset,
                    "the command topic ends before the offset that Postgres has: somebody deleted it and created it \
                     again, or it has lost its end. Reading it from its beginning"
                );
                log.reset_command_offset(&client, partition, offset).await?;
            }
            None => {}
        }
        known.assigned(partition, if is_reset { offset } else { stored.unwrap_or(0) });
        starts.insert(partition, offset);
    }
    Ok(starts)
}

/// Counts the commands of a partition that are gone from the topic, and whose turn had not come when `next` was the
/// next offset in Postgres.
///
/// # Errors
/// When Kafka does not answer within 5 s.
pub async fn count_missing(offsets: &Offsets, partition: i32, next: i64) -> Result<(), KafkaError> {
    let (low, _) = offsets.watermarks(partition).await?;
    if low > next {
        let missing = low - next;
        tracing::error!(partition, offset = low, missing, "{GONE}");
        MISSING.inc_by(missing.unsigned_abs());
    }
    Ok(())
}

/// `stored` is the next offset in Postgres; `None` when no record of the partition was ever committed.
fn start(standing: &Standing, stored: Option<i64>) -> Start {
    let next = stored.unwrap_or(0);
    let sound = |offset| Start { offset, flaw: None };
    // Without a committed offset nobody knows which outcomes were sent: read everything again, and send them again.
    let untold = standing.committed.map_or(0, |committed| committed.min(next));
    let Some((low, high)) = standing.watermarks else { return sound(untold) };
    if next > high {
        return Start { offset: low, flaw: Some(Flaw::MadeAnew) };
    }
    if low > next {
        return Start { offset: low, flaw: Some(Flaw::Missing(low - next)) };
    }
    match standing.committed {
        Some(committed) if committed > next => Start { offset: next, flaw: Some(Flaw::Ahead(committed - next)) },
        _ => sound(untold.max(low)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_goes_on_by_what_postgres_has() {
        let standing = |committed, low, high| Standing { partition: 0, committed, watermarks: Some((low, high)) };
        let at = |offset| Start { offset, flaw: None };
        for (standing, stored, expected) in [
            (standing(None, 0, 0), None, at(0)),
            (standing(None, 0, 9), None, at(0)),
            (standing(Some(7), 0, 9), Some(7), at(7)),
            // committed in Postgres, outcomes not sent
            (standing(Some(4), 0, 9), Some(7), at(4)),
            (standing(None, 0, 9), Some(7), at(0)),
            (standing(None, 5, 9), Some(7), at(5)),
            // expired, but dealt with
            (standing(Some(4), 6, 9), Some(7), at(6)),
            (standing(Some(7), 7, 9), Some(7), at(7)),
            // expired before anybody read them
            (standing(Some(4), 8, 9), Some(7), Start { offset: 8, flaw: Some(Flaw::Missing(1)) }),
            (standing(None, 5, 9), None, Start { offset: 5, flaw: Some(Flaw::Missing(5)) }),
            // Postgres was restored
            (standing(Some(9), 0, 9), Some(7), Start { offset: 7, flaw: Some(Flaw::Ahead(2)) }),
            (standing(Some(9), 0, 9), None, Start { offset: 0, flaw: Some(Flaw::Ahead(9)) }),
            (standing(Some(9), 8, 9), Some(7), Start { offset: 8, flaw: Some(Flaw::Missing(1)) }),
            // the topic was deleted and created again
            (standing(None, 0, 3), Some(7), Start { offset: 0, flaw: Some(Flaw::MadeAnew) }),
            // its leader does not answer
            (Standing { partition: 0, committed: Some(9), watermarks: None }, Some(7), at(7)),
        ] {
            assert_eq!(start(&standing, stored), expected, "{standing:?}, stored {stored:?}");
        }
    }
}
