//! Taking partitions over: from the topic's tail, checked against Postgres.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_store::{Cursor, Log, StoreError};
use rdkafka::error::KafkaError;

use crate::decision::{Start, decide};
use crate::error::RelayError;
use crate::metrics;
use crate::tail::{PartitionTail, Tail, TailReader};
use crate::window;

/// How long the topic must be quiet before its tail counts, after a producer was thrown away: what it had put on the
/// wire may still arrive. A broker works on one request of a closed connection at most.
const QUIET: Duration = Duration::from_millis(300);

/// Reads where to go on.
pub(crate) struct Takeover {
    pub(crate) tails: TailReader,
    pub(crate) topic: String,
    pub(crate) pool: Pool,
    pub(crate) log: Log,
}

/// Where publishing a partition begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// After this event.
    pub(crate) cursor: Cursor,
    /// With this offset.
    pub(crate) next_offset: i64,
}

impl Takeover {
    /// Where to go on in each partition of `published`, whose values are the last positions this process knows to be
    /// acknowledged. Cancel-safe: it only reads.
    ///
    /// # Errors
    /// When the topic contradicts the log, or Kafka or Postgres does not answer.
    pub(crate) async fn begin(
        &self,
        published: &BTreeMap<i32, i64>,
        after_purge: bool,
    ) -> Result<Vec<Beginning>, RelayError> {
        let partitions: Vec<i32> = published.keys().copied().collect();
        let client = self.pool.get().await.map_err(StoreError::from)?;
        let checkpoints = self.log.relay_checkpoints(&client, &partitions).await?;
        let known: HashMap<i32, i64> = published
            .iter()
            .map(|(partition, position)| (*partition, checkpoints.get(partition).copied().unwrap_or(0).max(*position)))
            .collect();
        drop(client);
        let mut begun = Vec::with_capacity(partitions.len());
        for end in self.ends(partitions, &known, after_purge).await? {
            begun.push(self.begin_at(end, known.get(&end.partition).copied().unwrap_or(0)).await?);
        }
        for (start, beginning) in &begun {
            report(beginning.cursor.partition, *start);
        }
        Ok(begun.into_iter().map(|(_, beginning)| beginning).collect())
    }

    /// The ends of the partitions. Where the last record is not what could be expected, looks further back: after two
    /// relays wrote at once, the highest position stands among the last records, not at the end.
    async fn ends(
        &self,
        partitions: Vec<i32>,
        known: &HashMap<i32, i64>,
        after_purge: bool,
    ) -> Result<Vec<PartitionTail>, KafkaError> {
        let mut ends = self.quiet_ends(partitions, after_purge).await?;
        let expected = |end: &PartitionTail| match end.tail {
            Tail::NeverWritten => true,
            Tail::At(stamp) => known.get(&end.partition).is_none_or(|known| stamp.position >= *known),
            Tail::Emptied | Tail::Foreign => false,
        };
        let strange: Vec<i32> = ends.iter().filter(|end| !expected(end)).map(|end| end.partition).collect();
        if !strange.is_empty() {
            ends.retain(expected);
            ends.extend(self.tails.read(strange, window::MAX_RECORDS as i64).await?);
        }
        Ok(ends)
    }

    async fn quiet_ends(&self, partitions: Vec<i32>, after_purge: bool) -> Result<Vec<PartitionTail>, KafkaError> {
        let mut ends = self.tails.read(partitions.clone(), 1).await?;
        let mut quiet = !after_purge;
        while !quiet {
            tokio::time::sleep(QUIET).await;
            let later = self.tails.read(partitions.clone(), 1).await?;
            quiet = later.iter().map(|end| end.next_offset).eq(ends.iter().map(|end| end.next_offset));
            ends = later;
        }
        Ok(ends)
    }

    async fn begin_at(&self, end: PartitionTail, known: i64) -> Result<(Start, Beginning), RelayError> {
        let PartitionTail { partition, tail, next_offset } = end;
        let client = self.pool.get().await.map_err(StoreError::from)?;
        let in_log = match tail {
            Tail::At(stamp) => self.log.event_at(&client, partition, stamp.position).await?,
            Tail::Emptied => self.log.event_at(&client, partition, known).await?,
            Tail::NeverWritten | Tail::Foreign => None,
        };
        let start = decide(tail, known, in_log.map(|(id, _)| id)).map_err(|divergence| RelayError::Diverged {
            topic: self.topic.clone(),
            partition,
            divergence,
        })?;
        let mut cursor = Cursor::start(partition);
        cursor.position = start.position();
        if let (Some((_, recorded_at)), true) = (in_log, cursor.position > 0) {
            cursor.recorded_at = recorded_at;
        }
        Ok((start, Beginning { cursor, next_offset }))
    }
}

impl Start {
    fn position(self) -> i64 {
        match self {
            Self::After(position) | Self::Republish { after: position, .. } | Self::TrustCheckpoint(position) => {
                position
            }
        }
    }
}

fn report(partition: i32, start: Start) {
    match start {
        Start::After(position) => tracing::info!(partition, position, "going on after the topic's tail"),
        Start::Republish { after, lost } => {
            metrics::REPUBLISHED.inc_by(lost.unsigned_abs());
            tracing::error!(partition, position = after, lost, "Kafka lost records; publishing them again");
        }
        Start::TrustCheckpoint(position) => {
            tracing::warn!(partition, position, "retention has emptied the topic; going on after the checkpoint");
        }
    }
}
