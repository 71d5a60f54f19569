//! Finds the first event where a read model and Postgres part, by the read model's fingerprints.

use std::collections::VecDeque;

use millrace_projector_runner::{fingerprint, fingerprints};
use uuid::Uuid;

use super::Audit;
use super::applied::Parted;
use super::difference::Difference;
use super::partition::LogEvents;

/// Rows of fingerprints to read at once.
const ROWS: i64 = 64;

/// What is wrong with a read model whose tally is not Postgres'. Reads the partition's events again, up to the first
/// that differs.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn find(audit: &Audit, partition: i32, parted: &Parted) -> anyhow::Result<Difference> {
    let Parted { read_model, tally } = parted;
    let reset = format!("`millrace projectors reset {read_model}` has it filled again");
    let first = first_parted(audit, partition, parted).await?;
    Ok(Difference(match first {
        First::Replaced(position, event_id) => format!(
            "{read_model} has applied another event at position {position} of partition {partition} than the one that \
             Postgres has there, {event_id}; `millrace events --partition {partition} --from {position} --limit 1` \
             shows that one. The topic had another record there, or the read model comes from elsewhere; {reset}"
        ),
        First::Unknown(position) => format!(
            "{read_model} has not applied the events up to position {} of partition {partition} that Postgres has: its \
             hash or count of them differs. It has no fingerprint of position {position}, so the first that differs is \
             not known. Somebody changed its tables, or restored a part of them; {reset}",
            tally.position
        ),
        First::Nowhere => format!(
            "{read_model} has counted {} events up to position {} of partition {partition}, and count or hash differ \
             from Postgres', but the fingerprint of no event does: somebody changed its checkpoint; {reset}",
            tally.events, tally.position
        ),
    }))
}

/// Where the first difference is.
#[derive(Debug)]
enum First {
    /// The read model has applied another event at this position than this one.
    Replaced(i64, Uuid),
    /// The read model has no fingerprint of this position.
    Unknown(i64),
    /// All fingerprints are those of the events.
    Nowhere,
}

async fn first_parted(audit: &Audit, partition: i32, Parted { read_model, tally }: &Parted) -> anyhow::Result<First> {
    let client = audit.pool.get().await?;
    let mut log = LogEvents::of(audit, partition).await?;
    let mut prints = VecDeque::new();
    for position in 1..=tally.position {
        // Postgres has them: the comparison with the topic has just read them
        let Some(event) = log.next().await? else { break };
        if prints.is_empty() {
            let place = (audit.log.name(), partition);
            let rows = fingerprints(&**client, read_model, place, position, ROWS).await?;
            prints.extend(rows.into_iter().flat_map(|(first, prints)| (first..).zip(prints)));
        }
        match prints.pop_front() {
            Some((at, print)) if at == position => {
                if print != fingerprint(position, event.event_id) {
                    return Ok(First::Replaced(position, event.event_id));
                }
            }
            _ => return Ok(First::Unknown(position)),
        }
    }
    Ok(First::Nowhere)
}
