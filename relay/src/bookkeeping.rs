//! The relay's checkpoints, written lazily, and its lag. A task of its own, so that neither holds up publishing.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use millrace_store::{Log, StoreError};
use tokio::sync::watch;

use crate::metrics;

/// How often checkpoints are written and the lag is measured.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a last writing may hold up a hand-over.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last acknowledged position of every partition that this relay holds.
pub(crate) type Published = BTreeMap<i32, i64>;

/// Writes down what is published.
#[derive(Clone)]
pub(crate) struct Bookkeeping {
    pub(crate) pool: Pool,
    pub(crate) log: Log,
}

impl Bookkeeping {
    /// Goes on until it is dropped. An attempt that fails is made again a second later.
    pub(crate) async fn run(self, published: watch::Receiver<Published>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut written, mut shown) = (Published::new(), Published::new());
        loop {
            ticks.tick().await;
            let now = published.borrow().clone();
            for gone in shown.keys().filter(|partition| !now.contains_key(partition)) {
                // it may have been removed before
                let _ = metrics::UNPUBLISHED.remove_label_values(&[&gone.to_string()]);
            }
            shown = now.clone();
            match self.keep(&now, &written).await {
                Ok(()) => written = now,
                Err(error) => tracing::debug!(%error, "checkpoints not written or lag not measured"),
            }
        }
    }

    /// Writes checkpoints before partitions are let go, as far as that is quick: they are hints.
    pub(crate) async fn write_last(&self, checkpoints: &[(i32, i64)]) {
        match tokio::time::timeout(PATIENCE, self.write(checkpoints)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "last checkpoints not written"),
            Err(_) => tracing::debug!("last checkpoints not written in time"),
        }
    }

    async fn write(&self, checkpoints: &[(i32, i64)]) -> Result<(), StoreError> {
        if checkpoints.is_empty() {
            return Ok(());
        }
        self.log.write_relay_checkpoints(&self.pool.get().await?, checkpoints).await
    }

    async fn keep(&self, now: &Published, written: &Published) -> Result<(), StoreError> {
        self.write(&changed(now, written)).await?;
        if now.is_empty() {
            metrics::OLDEST_UNPUBLISHED.set(0.0);
            return Ok(());
        }
        let client = self.pool.get().await?;
        let heads = self.log.heads(&client).await?;
        let mut oldest = None;
        for (&partition, &position) in now {
            let head = heads.get(partition.unsigned_abs() as usize).copied().unwrap_or(0);
            metrics::UNPUBLISHED.with_label_values(&[&partition.to_string()]).set((head - position).max(0));
            if head > position {
                let next = self.log.event_at(&client, partition, position + 1).await?;
                oldest = oldest.into_iter().chain(next.map(|(_, recorded_at)| recorded_at)).min();
            }
        }
        let age = oldest.map_or(0.0, |oldest| Timestamp::now().duration_since(oldest).as_secs_f64().max(0.0));
        metrics::OLDEST_UNPUBLISHED.set(age);
        Ok(())
    }
}

fn changed(now: &Published, written: &Published) -> Vec<(i32, i64)> {
    let entries = now.iter().map(|(partition, position)| (*partition, *position));
    entries.filter(|(partition, position)| *position > 0 && written.get(partition) != Some(position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_written() {
        let now = Published::from([(0, 0), (1, 5), (2, 7)]);
        assert_eq!(changed(&now, &Published::from([(1, 5), (2, 6)])), [(2, 7)]);
    }
}
