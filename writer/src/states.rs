//! The states of streams, kept in memory between batches.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use deadpool_postgres::GenericClient;
use lru::LruCache;
use millrace_schemas::StreamId;
use millrace_store::{StoreError, load};

use crate::Domain;
use crate::metrics::STREAMS;

/// Most streams kept.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");

/// A stream's state and the version it is of.
#[derive(Debug, Clone, Default)]
pub struct Versioned<S> {
    /// The version; 0: no events.
    pub version: i64,
    /// What the events up to it have made.
    pub state: S,
}

/// States as they were committed. They may be old, never wrong: the append checks the version.
pub struct States<D: Domain> {
    cache: LruCache<StreamId, Versioned<D::State>>,
}

impl<D: Domain> States<D> {
    /// Nothing in memory.
    pub fn new() -> Self {
        Self { cache: LruCache::new(CAPACITY) }
    }

    /// The states of `streams`: those in memory as they are, or with `refresh` brought up to date; the others loaded.
    ///
    /// # Errors
    /// When Postgres does not answer, or an event of the log can't be read.
    pub async fn get(
        &mut self,
        client: &impl GenericClient,
        streams: &[StreamId],
        refresh: bool,
    ) -> Result<HashMap<StreamId, Versioned<D::State>>, StoreError> {
        let mut found = Vec::with_capacity(streams.len());
        let mut wanted = Vec::new();
        for (index, stream) in streams.iter().enumerate() {
            let cached = self.cache.get(stream).cloned();
            if refresh || cached.is_none() {
                wanted.push(index);
            }
            found.push(cached.unwrap_or_default());
        }
        STREAMS.with_label_values(&["log"]).inc_by(wanted.len() as u64);
        STREAMS.with_label_values(&["cache"]).inc_by((streams.len() - wanted.len()) as u64);
        if !wanted.is_empty() {
            let cursors: Vec<_> = wanted.iter().map(|index| (streams[*index].clone(), found[*index].version)).collect();
            load(client, &cursors, |event| {
                let stream = &mut found[wanted[event.stream]];
                let read = D::read_event(event.event_type, event.data);
                let read = read.ok_or_else(|| unknown_event(event.event_type))?;
                D::evolve(&mut stream.state, &read.map_err(|e| unreadable_event(event.event_type, &e))?);
                stream.version = event.version;
                Ok(())
            })
            .await?;
        }
        Ok(streams.iter().cloned().zip(found).collect())
    }

    /// How many are in memory.
    pub fn count(&self) -> i64 {
        self.cache.len() as i64
    }

    /// Keeps a state that is committed.
    pub fn put(&mut self, stream: StreamId, state: Versioned<D::State>) {
        self.cache.put(stream, state);
    }

    /// Forgets a state, if it is of a later version than the log has: then the log was set back.
    pub fn forget_if_ahead(&mut self, stream: &StreamId, actual: i64) {
        if self.cache.peek(stream).is_some_and(|cached| cached.version > actual) {
            tracing::error!(%stream, actual, "the log is behind what this writer saw committed: was it set back?");
            self.cache.pop(stream);
        }
    }
}

fn unknown_event(name: &str) -> StoreError {
    StoreError::Damaged(format!("the log has an event of type {name}, which this version does not know"))
}

fn unreadable_event(name: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("the log has an event of type {name} that can't be read: {error}"))
}
