//! The relay's checkpoints, written lazily, and its lag. A task of its own, so that neither holds up publishing.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use millrace_store::{Log, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::metrics;

/// How often checkpoints are written and the lag is measured.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a last writing may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last acknowledged position of every partition that this relay publishes.
type Published = BTreeMap<i32, i64>;

/// Writes down what is published.
pub(crate) struct Bookkeeping {
    published: watch::Sender<Published>,
    books: Books,
    /// Dropped, it ends.
    _keeping: JoinSet<()>,
    /// Last checkpoints of partitions that were let go.
    last: JoinSet<()>,
}

/// Where it is written.
#[derive(Clone)]
struct Books {
    pool: Pool,
    log: Log,
}

impl Bookkeeping {
    /// Of a log. Call inside a tokio runtime.
    pub(crate) fn new(pool: Pool, log: Log) -> Self {
        let (published, books) = (watch::Sender::new(Published::new()), Books { pool, log });
        let keeping = JoinSet::from_iter([books.clone().keep(published.subscribe())]);
        Self { published, books, _keeping: keeping, last: JoinSet::new() }
    }

    /// Partitions are published up to these positions.
    pub(crate) fn note(&self, published: impl IntoIterator<Item = (i32, i64)>) {
        self.published.send_modify(|all| all.extend(published));
    }

    /// A partition is let go; its checkpoint is written once more, as far as that is quick: it is a hint.
    pub(crate) fn close(&mut self, partition: i32, published: i64) {
        while self.last.try_join_next().is_some() {}
        self.published.send_modify(|all| all.retain(|other, _| *other != partition));
        if published > 0 {
            let books = self.books.clone();
            self.last.spawn(async move { books.write_last(&[(partition, published)]).await });
        }
    }

    /// Waits for the last checkpoints, a second at most.
    pub(crate) async fn end(self) {
        self.last.join_all().await;
    }
}

impl Books {
    /// Goes on until it is dropped. An attempt that fails is made again a second later.
    async fn keep(self, published: watch::Receiver<Published>) {
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
            shown.clone_from(&now);
            match self.write_and_measure(&now, &written).await {
                Ok(()) => written = now,
                Err(error) => tracing::debug!(%error, "checkpoints not written or lag not measured"),
            }
        }
    }

    async fn write_last(&self, checkpoints: &[(i32, i64)]) {
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

    async fn write_and_measure(&self, now: &Published, written: &Published) -> Result<(), StoreError> {
        self.write(&changed(now, written)).await?;
        let (mut oldest, mut newest) = (None, None);
        if !now.is_empty() {
            let client = self.pool.get().await?;
            for (head, recorded_at) in self.log.all_heads(&client).await? {
                let Some(&position) = now.get(&head.partition) else { continue };
                let unpublished = (head.position - position).max(0);
                metrics::UNPUBLISHED.with_label_values(&[&head.partition.to_string()]).set(unpublished);
                if unpublished > 0 {
                    let next = self.log.event_at(&client, head.partition, position + 1).await?;
                    oldest = oldest.into_iter().chain(next.map(|event| event.recorded_at)).min();
                }
                newest = newest.max(recorded_at);
            }
        }
        let clock = Timestamp::now();
        metrics::OLDEST_UNPUBLISHED.set(seconds(oldest, clock));
        metrics::RECORDED_AHEAD.set(seconds(Some(clock), newest.unwrap_or(clock)));
        Ok(())
    }
}

/// How many seconds `to` comes after `from`; 0 where it does not.
fn seconds(from: Option<Timestamp>, to: Timestamp) -> f64 {
    from.map_or(0.0, |from| to.duration_since(from).as_secs_f64().max(0.0))
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

    #[test]
    fn an_age_is_never_negative() {
        let (early, late) = (Timestamp::UNIX_EPOCH, "1970-01-01T00:01:00Z".parse().unwrap());
        assert_eq!((seconds(Some(early), late), seconds(Some(late), early), seconds(None, late)), (60.0, 0.0, 0.0));
    }
}
