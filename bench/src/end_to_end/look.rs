//! Looking at the read model's checkpoints: when which position became visible.

use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_postgres::Client;
use hdrhistogram::Histogram;
use jiff::Timestamp;
use millrace_schemas::LogName;

use super::listen::Sample;
use super::run::Run;
use crate::measured::histogram;

/// How often the benchmark looks. Latencies are too long by up to so much.
const LOOK: Duration = Duration::from_millis(2);

/// Without a rate, seldom: a look costs as much as some hundred events.
const SELDOM: Duration = Duration::from_millis(20);

/// When each partition's checkpoint was first seen at a position.
#[derive(Debug)]
pub struct History(Vec<Vec<Seen>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    position: i64,
    /// Microseconds since 1970.
    at: i64,
}

/// Looks until the run is over.
///
/// # Errors
/// When Postgres does not answer.
pub async fn look(run: &Run, client: &Client, log: &LogName, partitions: u32) -> anyhow::Result<History> {
    let statement = client.prepare_cached(include_str!("sql/checkpoints.sql")).await?;
    let mut history = History(vec![Vec::new(); partitions as usize]);
    let mut ticks = tokio::time::interval(if run.rate.is_some() { LOOK } else { SELDOM });
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !run.is_over() {
        ticks.tick().await;
        let rows = client.query(&statement, &[&log.as_str()]).await?;
        let at = Timestamp::now().as_microsecond();
        let mut visible = 0;
        for row in rows {
            let (partition, position): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
            visible += position.unsigned_abs();
            history.see(partition, Seen { position, at });
        }
        run.visible.store(visible, Ordering::Relaxed);
    }
    Ok(history)
}

impl History {
    fn see(&mut self, partition: i32, seen: Seen) {
        let Some(history) = self.0.get_mut(partition.unsigned_abs() as usize) else { return };
        if history.last().is_none_or(|last| last.position < seen.position) {
            history.push(seen);
        }
    }

    /// From the recording of each sample to the look that saw it; samples that no look saw are left out.
    pub fn latencies(&self, samples: &[Sample]) -> Histogram<u64> {
        let mut latencies = histogram();
        for sample in samples {
            let history = self.0.get(sample.partition.unsigned_abs() as usize).map_or(&[][..], Vec::as_slice);
            let place = history.partition_point(|seen| seen.position < sample.position);
            if let Some(seen) = history.get(place) {
                latencies.saturating_record((seen.at - sample.recorded_at).max(1).unsigned_abs());
            }
        }
        latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_visible_when_a_checkpoint_is_first_seen_at_it_or_beyond() {
        let mut history = History(vec![Vec::new(); 2]);
        for (position, at) in [(3, 1000), (3, 2000), (7, 2400)] {
            history.see(1, Seen { position, at });
        }
        let sample = |position| Sample { partition: 1, position, recorded_at: 500 };
        let latencies = history.latencies(&[sample(3), sample(4), sample(8)]);
        assert_eq!((latencies.len(), latencies.min(), latencies.max()), (2, 500, 1900));
    }
}
