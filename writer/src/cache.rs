//! Keeps the states of streams in memory between batches, and makes sure that a decision never rests on a stale one.
//!
//! For each partition that it has touched, the writer knows the head up to which its states are right. An append names
//! these heads and commits only if they are still the last events. Then every state was right, and the writer need not
//! look up any stream. If a head has moved, the writer reads the other writer's events by position and folds them into
//! its states. If the log no longer has a head, Postgres has lost commits, and the writer begins anew.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use deadpool_postgres::GenericClient;
use lru::LruCache;
use millrace_schemas::{RecordSchema, RecordedEvent, StreamId};
use millrace_store::{Cursor, Head, Log, PageLimit, StoreError};

use crate::described::Successor;
use crate::metrics::{LOST_COMMITS, STREAMS};
use crate::{Domain, WriterError};

/// Most streams in memory; the one that was not used for the longest time goes first.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
/// Most events of a partition to catch up with. If it is further behind, the writer forgets the partition and loads
/// streams again as it needs them.
const CATCH_UP: i64 = 20_000;
/// The page of a partition while catching up.
const PAGE: PageLimit = PageLimit { events: 2_000, bytes: 1024 * 1024 };

/// A stream's state at a version.
#[derive(Debug, Clone, Default)]
pub struct Versioned<S> {
    /// The version of the last event in the state; 0 before the first event.
    pub version: i64,
    /// The fold of all events up to that version.
    pub state: S,
}

/// The states of the most recently used streams, and the heads up to which they are right.
pub struct Cache<D: Domain> {
    domain: Arc<D>,
    streams: LruCache<StreamId, Versioned<D::State>>,
    heads: HashMap<i32, Head>,
}

impl<D: Domain> Cache<D> {
    /// An empty cache.
    pub fn new(domain: Arc<D>) -> Self {
        Self { domain, streams: LruCache::new(CAPACITY), heads: HashMap::new() }
    }

    /// A cache for a domain that comes after another one, with the states of that one's if they are still right.
    pub fn after(before: Option<Self>, domain: Arc<D>) -> Self
    where
        D: Successor,
    {
        match before {
            Some(before) if domain.folds_as(&before.domain) => Self { domain, ..before },
            _ => Self::new(domain),
        }
    }

    /// How many streams are in memory.
    pub fn count(&self) -> i64 {
        self.streams.len() as i64
    }

    /// The state of a stream; `None` when it is not in memory.
    pub fn get(&mut self, stream: &StreamId) -> Option<&Versioned<D::State>> {
        self.streams.get(stream)
    }

    /// The known head of a partition. Call [`Cache::learn_heads`] first: an unknown partition looks empty.
    pub fn head(&self, partition: i32) -> Head {
        self.heads.get(&partition).copied().unwrap_or(Head::empty(partition))
    }

    /// Takes over the states and heads that a committed batch has left.
    pub fn commit(
        &mut self,
        states: impl IntoIterator<Item = (StreamId, Versioned<D::State>)>,
        heads: impl IntoIterator<Item = Head>,
    ) {
        for (stream, state) in states {
            self.streams.put(stream, state);
        }
        self.heads.extend(heads.into_iter().map(|head| (head.partition, head)));
    }

    /// Reads the heads of those partitions that the cache does not know. Call it before loading their streams: a state
    /// must never be older than the head.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn learn_heads(
        &mut self,
        client: &impl GenericClient,
        log: &Log,
        partitions: &BTreeSet<i32>,
    ) -> Result<(), StoreError> {
        let unknown: Vec<i32> = partitions.iter().copied().filter(|p| !self.heads.contains_key(p)).collect();
        if !unknown.is_empty() {
            let heads = log.heads(client, &unknown).await?;
            self.heads.extend(heads.into_iter().map(|head| (head.partition, head)));
        }
        Ok(())
    }

    /// Loads streams that are not in memory, from their first event on. False where one of them has an event behind the
    /// head that is known: then none is kept, for should Postgres lose just that event, nothing would show that a state
    /// counts it.
    ///
    /// # Errors
    /// When Postgres does not answer, or an event of the log can't be read.
    pub async fn load(
        &mut self,
        client: &impl GenericClient,
        log: &Log,
        streams: &[StreamId],
    ) -> Result<bool, StoreError> {
        STREAMS.with_label_values(&["log"]).inc_by(streams.len() as u64);
        let last_known: Vec<i64> = streams.iter().map(|id| self.head(log.partition_of(id)).position).collect();
        let mut is_ahead = false;
        let mut found: Vec<Versioned<D::State>> = vec![Versioned::default(); streams.len()];
        if has_state::<D>() {
            let from_the_start: Vec<_> = streams.iter().map(|stream| (stream.clone(), 0)).collect();
            log.load(client, &from_the_start, |event| {
                is_ahead |= event.position > last_known[event.stream];
                let stream = &mut found[event.stream];
                evolve(&*self.domain, stream, event.version, event.schema, event.datum)?;
                Ok(())
            })
            .await?;
        } else {
            let last = log.last_events(client, streams).await?;
            for ((stream, known), found) in streams.iter().zip(&last_known).zip(&mut found) {
                let Some(last) = last.get(stream) else { continue };
                is_ahead |= last.position > *known;
                found.version = last.version;
            }
        }
        if is_ahead {
            return Ok(false);
        }
        for (stream, state) in streams.iter().zip(found) {
            self.streams.put(stream.clone(), state);
        }
        Ok(true)
    }

    /// Brings the states of these partitions up to date with the log. The caller must hold the partitions' locks, so
    /// that nobody appends meanwhile. True when another writer had appended.
    ///
    /// # Errors
    /// [`WriterError::LostCommits`] when the log no longer has a known head: then no state is to be trusted. When
    /// Postgres does not answer, or an event of the log can't be read.
    pub async fn catch_up(
        &mut self,
        client: &impl GenericClient,
        log: &Log,
        partitions: &BTreeSet<i32>,
    ) -> Result<bool, WriterError> {
        let partitions: Vec<i32> = partitions.iter().copied().collect();
        let mut behind = Vec::new();
        let mut moved = false;
        for head in log.heads(client, &partitions).await? {
            match self.heads.get(&head.partition).copied() {
                Some(known) if known == head => {}
                Some(known) if head.position <= known.position => return Err(lost(known, head.position)),
                Some(known) if head.position - known.position <= CATCH_UP => behind.push((known, head)),
                known => {
                    if known.is_some() {
                        self.forget(log, head.partition);
                    }
                    self.heads.insert(head.partition, head);
                }
            }
            moved |= self.heads.get(&head.partition) != Some(&head);
        }
        let mut cursors: Vec<Cursor> = behind.iter().map(|(known, _)| Cursor::from(*known)).collect();
        while !cursors.is_empty() {
            let page = log.read(client, &cursors, PAGE).await?;
            if let Some(fork) = page.forks.first() {
                return Err(lost(self.head(fork.cursor.partition), fork.cursor.position));
            }
            for event in &page.events {
                self.fold(event)?;
                let head = Head { partition: event.partition, position: event.position, event_id: event.event_id };
                self.heads.insert(event.partition, head);
                if let Some(cursor) = cursors.iter_mut().find(|cursor| cursor.partition == event.partition) {
                    *cursor = Cursor::after(event);
                }
            }
            let heads = &self.heads;
            let reached = |cursor: &Cursor| behind.iter().any(|(_, head)| heads.get(&cursor.partition) == Some(head));
            cursors.retain(|cursor| !reached(cursor));
        }
        Ok(moved)
    }

    /// Folds another writer's event. Skips it if the state has it already, as one that was loaded after the head was
    /// read.
    fn fold(&mut self, event: &RecordedEvent) -> Result<(), StoreError> {
        match self.streams.peek_mut(&event.stream_id) {
            Some(stream) if event.version == stream.version + 1 => {
                evolve(&*self.domain, stream, event.version, event.schema, event.datum())
            }
            Some(stream) if event.version > stream.version => Err(StoreError::Damaged(format!(
                "stream {} goes from version {} to {}",
                event.stream_id, stream.version, event.version
            ))),
            _ => Ok(()),
        }
    }

    fn forget(&mut self, log: &Log, partition: i32) {
        let gone = self.streams.iter().map(|(stream, _)| stream).filter(|stream| log.partition_of(stream) == partition);
        for stream in gone.cloned().collect::<Vec<_>>() {
            self.streams.pop(&stream);
        }
        self.heads.remove(&partition);
    }
}

fn lost(known: Head, found: i64) -> WriterError {
    let Head { partition, position: known, .. } = known;
    tracing::error!(
        partition,
        known,
        found,
        "Postgres has lost commits that this writer saw (a restored backup, a failover to a replica that lagged?)"
    );
    LOST_COMMITS.inc();
    WriterError::LostCommits
}

/// Folds a stored event into its stream's state.
fn evolve<D: Domain>(
    domain: &D,
    stream: &mut Versioned<D::State>,
    version: i64,
    schema: &RecordSchema,
    datum: &[u8],
) -> Result<(), StoreError> {
    if !has_state::<D>() {
        stream.version = version;
        return Ok(());
    }
    let damaged = |problem: String| StoreError::Damaged(format!("an event of type {} {problem}", schema.name));
    let event = domain.read_event(schema, datum).ok_or_else(|| StoreError::UnknownEvent(schema.name.clone()))?;
    let event = event.map_err(|error| damaged(format!("can't be read: {error}")))?;
    domain.evolve(&mut stream.state, &event);
    stream.version = version;
    Ok(())
}

/// Whether the domain folds anything. Where it does not, the version is all that the writer knows of a stream.
const fn has_state<D: Domain>() -> bool {
    size_of::<D::State>() > 0
}
