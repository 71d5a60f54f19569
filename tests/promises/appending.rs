//! Appends to the log without a writer, for the tests of the store: looks at heads and streams, decides, and appends.

use std::sync::Arc;

use deadpool_postgres::GenericClient;
use millrace_schemas::{Metadata, Outcome, OutcomeKind, RecordSchema, StreamVersion, Topic};
use millrace_store::{AppendBatch, Appended, Head, Log, NewCommand, NewEvent, command_key};
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, stream};

/// Writes events of one type.
#[derive(Clone)]
pub struct Appender {
    pub log: Log,
    event: (i16, &'static RecordSchema),
    outcome: (i16, &'static RecordSchema),
}

/// The heads and versions that a decision rests on.
#[derive(Debug, Clone)]
pub struct Seen {
    pub heads: Vec<Head>,
    /// The streams' versions, in the order asked for; 0 where the stream does not exist.
    pub versions: Vec<i64>,
}

/// How many events a command appends to a stream.
pub type Step<'s> = (&'s str, usize);

impl Appender {
    pub async fn new(world: &World) -> Self {
        let log = world.open_log().await;
        let client = world.pool(1).get().await.expect("Postgres");
        let stored = log.stored_schemas(&client).await.expect("schemas");
        let find = |topic, name: &str| {
            let found = stored.iter().find(|s| s.schema.topic == topic && s.schema.name == name).expect("registered");
            (found.number, found.schema)
        };
        Self { event: find(Topic::Events, "AccountClosed"), outcome: find(Topic::Outcomes, "Outcome"), log }
    }

    /// The heads of the streams' partitions, then the versions of the streams.
    pub async fn look(&self, client: &impl GenericClient, streams: &[&str]) -> Seen {
        let mut partitions: Vec<i32> = streams.iter().map(|id| self.log.partition_of(&stream(id))).collect();
        partitions.sort_unstable();
        partitions.dedup();
        loop {
            let heads = self.log.heads(client, &partitions).await.expect("heads");
            let mut versions = vec![0; streams.len()];
            let asked: Vec<_> = streams.iter().map(|id| (stream(id), 0)).collect();
            let loaded = self.log.load(client, &asked, |event| {
                versions[event.stream] = event.version;
                Ok(())
            });
            loaded.await.expect("streams");
            // We read heads and versions one after the other: make sure that nobody appended in between.
            if self.log.heads(client, &partitions).await.expect("heads") == heads {
                return Seen { heads, versions };
            }
        }
    }

    /// An empty batch on the heads that were seen.
    pub fn batch(&self, seen: &Seen) -> AppendBatch {
        AppendBatch { heads: seen.heads.clone(), outcome_schema: self.outcome.0, ..AppendBatch::default() }
    }

    /// Adds a command that appends events to streams, each after a version. Returns the command's outcome.
    pub fn add(&self, batch: &mut AppendBatch, id: &str, steps: &[Step<'_>], versions: &[i64]) -> Outcome {
        let mut streams = Vec::new();
        for ((name, count), version) in steps.iter().zip(versions) {
            let stream_id = stream(name);
            let partition = self.log.partition_of(&stream_id);
            for n in 1..=*count as i64 {
                let placed = batch.events.iter().filter(|event| event.partition == partition).count() as i64;
                let head = batch.heads.iter().find(|head| head.partition == partition).expect("it was looked at");
                batch.events.push(NewEvent {
                    partition,
                    position: head.position + placed + 1,
                    stream_id: stream_id.clone(),
                    version: version + n,
                    event_id: Uuid::now_v7(),
                    schema: self.event.0,
                    datum: self.event.1.encode_json(&json!({"account_id": "x"})).expect("it fits"),
                    metadata: Arc::new(Metadata::default()),
                });
            }
            streams.push(StreamVersion { stream_id: (*name).to_owned(), version: version + *count as i64 });
        }
        let outcome = Outcome {
            command_id: id.to_owned(),
            command_type: "CloseAccount".to_owned(),
            outcome: OutcomeKind::Accepted,
            code: None,
            message: None,
            token: None,
            streams,
            recorded_at: 0,
        };
        let datum = outcome.encode_without_time(self.outcome.1).expect("it fits");
        batch.commands.push(NewCommand { key: command_key(id), hash: [7; 16], outcome: datum });
        outcome
    }

    /// Appends one event to each stream, on the heads and versions that were seen.
    pub async fn append(&self, client: &impl GenericClient, id: &str, streams: &[&str], seen: &Seen) -> Appended {
        let mut batch = self.batch(seen);
        let steps: Vec<Step<'_>> = streams.iter().map(|name| (*name, 1)).collect();
        self.add(&mut batch, id, &steps, &seen.versions);
        self.log.append(client, &batch).await.expect("Postgres")
    }

    /// Appends one event to each stream, while nobody else appends to them.
    pub async fn append_alone(&self, client: &impl GenericClient, id: &str, streams: &[&str]) {
        let seen = self.look(client, streams).await;
        let appended = self.append(client, id, streams, &seen).await;
        assert!(matches!(appended, Appended::Committed(_)), "{appended:?}");
    }
}
