//! Taking partitions over: where each goes on, from its topic's tail, checked against Postgres.
//!
//! Promises: each partition is decided by itself. One that Kafka can't read now fails alone, and the others' results do
//! not wait for it. Nothing is written.

mod decision;
mod tail;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Pool;
use millrace_store::{Cursor, Log, StoreError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::delivery::MAX_RECORDS;
use crate::error::RelayError;
use crate::metrics;
use decision::decide;
use tail::{PartitionTail, ReadTail, Tail};

pub use decision::Divergence;
pub(crate) use decision::{Known, Start};
pub(crate) use tail::TailReader;

/// How long the topic must be quiet before its tail counts, after a producer was thrown away: what it had put on the
/// wire may still arrive. A broker works on one request of a closed connection at most.
const QUIET: Duration = Duration::from_millis(300);

/// Into how many groups the partitions of a broker are split whose last look failed.
const APART: i32 = 8;

/// A partition whose tail is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) partition: i32,
    /// The partition's epoch, handed back with the result.
    pub(crate) epoch: u64,
    /// What this process knows to be acknowledged.
    pub(crate) known: Known,
    /// Records of the partition may still be on their way.
    pub(crate) after_purge: bool,
    /// The last look failed: this one is made apart from those at other partitions, so that it does not hold them up.
    pub(crate) apart: bool,
}

/// Where publishing a partition begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    /// After this event.
    pub(crate) cursor: Cursor,
    /// With this offset.
    pub(crate) next_offset: i64,
}

/// What came of a look.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) partition: i32,
    pub(crate) epoch: u64,
    pub(crate) found: Found,
}

/// How a partition is found.
#[derive(Debug)]
pub(crate) enum Found {
    /// It can be published.
    Good(Start, Beginning),
    /// Topic and log contradict each other; the topic was published up to this position.
    Diverged(Divergence, i64),
    /// It could not be read.
    Failed(RelayError),
    /// No partition could be read. The first one has the reason.
    Postponed(Option<RelayError>),
}

/// Reads where to go on, beside the loop.
pub(crate) struct Takeovers {
    reader: Arc<Reader>,
    under_way: JoinSet<()>,
    sender: mpsc::UnboundedSender<Looked>,
    results: mpsc::UnboundedReceiver<Looked>,
}

impl Takeovers {
    /// For a log and the topic of `tails`.
    pub(crate) fn new(tails: TailReader, pool: Pool, log: Log) -> Self {
        // at most one result for each partition that this relay holds
        let (sender, results) = mpsc::unbounded_channel();
        Self { reader: Arc::new(Reader { tails, pool, log }), under_way: JoinSet::new(), sender, results }
    }

    /// Begins to look at partitions.
    pub(crate) fn begin(&mut self, looks: Vec<Look>) {
        while let Some(ended) = self.under_way.try_join_next() {
            ended.expect("a look neither panics nor is aborted while this is there");
        }
        if !looks.is_empty() {
            self.under_way.spawn(self.reader.clone().look(looks, self.sender.clone()));
        }
    }

    /// The next result. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Looked {
        self.results.recv().await.expect("a sender is kept")
    }
}

struct Reader {
    tails: TailReader,
    pool: Pool,
    log: Log,
}

impl Reader {
    /// Looks at partitions, those of one broker together: a broker that does not answer holds up its own only.
    async fn look(self: Arc<Self>, looks: Vec<Look>, results: mpsc::UnboundedSender<Looked>) {
        let leaders = match self.tails.leaders().await {
            Ok(leaders) => leaders,
            Err(error) => return postpone(&looks, error.into(), &results),
        };
        let mut groups: BTreeMap<(i32, Option<i32>), Vec<Look>> = BTreeMap::new();
        for look in looks {
            match leaders.get(&look.partition) {
                Some(&leader) => {
                    let group = (leader, look.apart.then_some(look.partition % APART));
                    groups.entry(group).or_default().push(look);
                }
                None => {
                    let error = KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable);
                    tell(&results, &look, Found::Failed(error.into()));
                }
            }
        }
        let groups = groups.into_values().map(|looks| self.clone().look_at_group(looks, results.clone()));
        groups.collect::<JoinSet<()>>().join_all().await;
    }

    async fn look_at_group(self: Arc<Self>, looks: Vec<Look>, results: mpsc::UnboundedSender<Looked>) {
        let known = match self.known(&looks).await {
            Ok(known) => known,
            Err(error) => return postpone(&looks, error, &results),
        };
        let by_partition: HashMap<i32, Look> = looks.iter().map(|look| (look.partition, *look)).collect();
        let mut strange = Vec::new();
        for (partition, end) in self.quiet_ends(&looks).await {
            if end.as_ref().is_ok_and(|end| is_strange(end.tail, known[&partition])) {
                strange.push(partition);
            } else {
                let found = self.decide(partition, end, known[&partition]).await;
                tell(&results, &by_partition[&partition], found);
            }
        }
        if strange.is_empty() {
            return;
        }
        // after two relays wrote at once, the highest position stands among the last records, not at the end
        for (partition, end) in self.tails.read(strange, MAX_RECORDS as i64).await {
            let found = self.decide(partition, end, known[&partition]).await;
            tell(&results, &by_partition[&partition], found);
        }
    }

    /// What is known to have been published: by this process, or by the checkpoint.
    async fn known(&self, looks: &[Look]) -> Result<HashMap<i32, Known>, RelayError> {
        let partitions: Vec<i32> = looks.iter().map(|look| look.partition).collect();
        let client = self.pool.get().await.map_err(StoreError::from)?;
        let checkpoints = self.log.relay_checkpoints(&client, &partitions).await?;
        let known = looks.iter().map(|look| {
            let checkpoint = checkpoints.get(&look.partition).copied().unwrap_or(0);
            let known =
                if checkpoint > look.known.position { Known { position: checkpoint, event: None } } else { look.known };
            (look.partition, known)
        });
        Ok(known.collect())
    }

    /// The ends of the partitions; of those that a producer may still write to, once they have stood still.
    async fn quiet_ends(&self, looks: &[Look]) -> Vec<(i32, ReadTail)> {
        let partitions = looks.iter().map(|look| look.partition).collect();
        let mut ends: BTreeMap<i32, ReadTail> = self.tails.read(partitions, 1).await.into_iter().collect();
        let mut moving: Vec<i32> = looks.iter().filter(|l| l.after_purge).map(|l| l.partition).collect();
        loop {
            moving.retain(|partition| ends.get(partition).is_some_and(Result::is_ok));
            if moving.is_empty() {
                return ends.into_iter().collect();
            }
            tokio::time::sleep(QUIET).await;
            for (partition, later) in self.tails.read(moving.clone(), 1).await {
                let offset = |end: &ReadTail| end.as_ref().map(|end| end.next_offset).ok();
                if ends.get(&partition).and_then(offset) == offset(&later) {
                    moving.retain(|other| *other != partition);
                }
                ends.insert(partition, later);
            }
        }
    }

    async fn decide(&self, partition: i32, end: ReadTail, known: Known) -> Found {
        let found = async {
            let PartitionTail { tail, next_offset } = end?;
            let looked_up = match tail {
                Tail::At(stamp) => stamp.position,
                Tail::Emptied => known.position,
                Tail::NeverWritten | Tail::Foreign => 0,
            };
            let in_log = match looked_up {
                0 => None,
                position => {
                    let client = self.pool.get().await.map_err(StoreError::from)?;
                    self.log.event_at(&client, partition, position).await?
                }
            };
            let start = match decide(tail, known, in_log) {
                Ok(start) => start,
                Err(divergence) => return Ok(Found::Diverged(divergence, looked_up.max(known.position))),
            };
            let mut cursor = Cursor { position: start.position(), ..Cursor::start(partition) };
            if let (Some(event), true) = (in_log, cursor.position > 0) {
                cursor.event_id = Some(event.event_id);
                cursor.recorded_at = Some(event.recorded_at);
            }
            Ok(Found::Good(start, Beginning { cursor, next_offset }))
        };
        found.await.unwrap_or_else(Found::Failed)
    }
}

/// Whether the last record is not what could be expected, so that those before it are worth a look.
fn is_strange(tail: Tail, known: Known) -> bool {
    match tail {
        Tail::NeverWritten => false,
        Tail::At(stamp) => stamp.position < known.position,
        Tail::Emptied | Tail::Foreign => true,
    }
}

fn postpone(looks: &[Look], error: RelayError, results: &mpsc::UnboundedSender<Looked>) {
    let mut error = Some(error);
    looks.iter().for_each(|look| tell(results, look, Found::Postponed(error.take())));
}

fn tell(results: &mpsc::UnboundedSender<Looked>, look: &Look, found: Found) {
    // nobody listens any more when the relay has ended
    let _ = results.send(Looked { partition: look.partition, epoch: look.epoch, found });
}

impl Start {
    /// Counts and logs that publishing of a partition begins so.
    pub(crate) fn report(self, partition: i32) {
        match self {
            Self::After(position) => tracing::info!(partition, position, "going on after the topic's tail"),
            Self::Republish { after, lost } => {
                metrics::REPUBLISHED.inc_by(lost.unsigned_abs());
                tracing::error!(partition, position = after, lost, "Kafka lost records; publishing them again");
            }
            Self::TrustCheckpoint(position) => {
                tracing::warn!(partition, position, "retention has emptied the topic; going on after the checkpoint");
            }
        }
    }
}
