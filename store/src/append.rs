//! Commits a batch of decided commands: their outcomes, their events, and how far the command topic is read.

use std::sync::Arc;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use millrace_schemas::{Metadata, StreamId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::head::Head;
use crate::{Log, StoreError};

/// A decided batch, with the heads that the writer decided it on.
#[derive(Debug, Default)]
pub struct AppendBatch {
    /// The heads that the writer knew when it decided: one for every partition with a stream that a decision used.
    /// Ascending by partition.
    pub heads: Vec<Head>,
    /// The commands; no id twice.
    pub commands: Vec<NewCommand>,
    /// The number in `schemas` of the outcomes' schema.
    pub outcome_schema: i16,
    /// The events of the commands. In each partition their positions follow the head's without a hole.
    pub events: Vec<NewEvent>,
    /// Partitions of the command topic, each with the offset after its last record in this batch.
    pub next_offsets: Vec<(i32, i64)>,
    /// Partitions of the command topic, each with the offset that Postgres had when the writer saw it last: at the
    /// partition's assignment, or after an append.
    pub known_offsets: Vec<(i32, i64)>,
}

/// A command that the writer accepted, or refused for good.
#[derive(Debug, Clone)]
pub struct NewCommand {
    /// See [`command_key`](crate::command_key).
    pub key: Uuid,
    /// The hash of the command's content, by which the writer finds another command with the same id.
    pub hash: [u8; 16],
    /// The outcome's datum without its last field, the time, which Postgres adds.
    pub outcome: Vec<u8>,
}

/// A new event, with its place in the log.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The partition of its stream: see [`Log::partition_of`].
    pub partition: i32,
    /// The place in the partition, from 1.
    pub position: i64,
    /// The stream that the event belongs to.
    pub stream_id: StreamId,
    /// The place in the stream; 1 begins the stream.
    pub version: i64,
    /// Use a random UUID, or what the sender of a finished event has given it.
    pub event_id: Uuid,
    /// The number in `schemas` of the schema that the datum is encoded with.
    pub schema: i16,
    /// The Avro datum, without a frame.
    pub datum: Vec<u8>,
    /// Copied from the command.
    pub metadata: Arc<Metadata>,
}

/// What Postgres did with a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// It committed all of it, at this time.
    Committed(Timestamp),
    /// It committed nothing, because the log has other heads than the writer knew: these, for every partition of the
    /// batch.
    Moved(Vec<Head>),
    /// It committed nothing, because the commands with these keys were committed before.
    Known(Vec<Uuid>),
    /// It committed nothing, because the log no longer has the offsets that the writer knew: a backup was restored, or a
    /// replica that lagged took over.
    Lost,
}

impl Log {
    /// Commits all of a batch or nothing. Outside a transaction, the batch is durable on return.
    ///
    /// A cancelled call may have committed the batch: append it again, and the answer is [`Appended::Known`].
    ///
    /// # Errors
    /// When Postgres refuses or does not answer. Then it has committed nothing, or its answer was lost.
    pub async fn append(&self, client: &impl GenericClient, batch: &AppendBatch) -> Result<Appended, StoreError> {
        let AppendBatch { heads, commands, outcome_schema, events, next_offsets, known_offsets } = batch;
        let partitions: Vec<i32> = heads.iter().map(|head| head.partition).collect();
        let head_positions: Vec<i64> = heads.iter().map(|head| head.position).collect();
        let head_ids: Vec<Uuid> = heads.iter().map(|head| head.event_id).collect();
        let keys: Vec<Uuid> = commands.iter().map(|command| command.key).collect();
        let hashes: Vec<&[u8]> = commands.iter().map(|command| &command.hash[..]).collect();
        let outcomes: Vec<&[u8]> = commands.iter().map(|command| &command.outcome[..]).collect();
        let (read_partitions, offsets): (Vec<i32>, Vec<i64>) = next_offsets.iter().copied().unzip();
        let (known_partitions, known_offsets): (Vec<i32>, Vec<i64>) = known_offsets.iter().copied().unzip();

        let event_partitions: Vec<i32> = events.iter().map(|event| event.partition).collect();
        let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
        let stream_ids: Vec<&str> = events.iter().map(|event| event.stream_id.as_str()).collect();
        let versions: Vec<i64> = events.iter().map(|event| event.version).collect();
        let event_ids: Vec<Uuid> = events.iter().map(|event| event.event_id).collect();
        let schemas: Vec<i16> = events.iter().map(|event| event.schema).collect();
        let data: Vec<&[u8]> = events.iter().map(|event| &event.datum[..]).collect();
        let column = |field: fn(&Metadata) -> &Option<String>| Column::new(events, field);
        let parameters: [&(dyn ToSql + Sync); 24] = [
            &partitions,
            &head_positions,
            &head_ids,
            &keys,
            &hashes,
            &outcomes,
            outcome_schema,
            &read_partitions,
            &offsets,
            &known_partitions,
            &known_offsets,
            &event_partitions,
            &positions,
            &stream_ids,
            &versions,
            &event_ids,
            &schemas,
            &data,
            &column(|metadata| &metadata.correlation_id).0,
            &column(|metadata| &metadata.causation_id).0,
            &column(|metadata| &metadata.user_id).0,
            &column(|metadata| &metadata.source).0,
            &column(|metadata| &metadata.client_address).0,
            &column(|metadata| &metadata.traceparent).0,
        ];
        let statement = client.prepare_cached(&self.sql(include_str!("sql/append.sql"))).await?;
        let row = client.query_one(&statement, &parameters).await?;
        if let Some(recorded_at) = row.try_get(0)? {
            return Ok(Appended::Committed(recorded_at));
        }
        if let Some(known) = row.try_get(3)? {
            return Ok(Appended::Known(known));
        }
        if row.try_get::<_, Option<bool>>(4)? == Some(true) {
            return Ok(Appended::Lost);
        }
        let (positions, ids): (Vec<i64>, Vec<Uuid>) = (row.try_get(1)?, row.try_get(2)?);
        let heads = partitions.into_iter().zip(positions).zip(ids);
        let head = |((partition, position), event_id)| Head { partition, position, event_id };
        Ok(Appended::Moved(heads.map(head).collect()))
    }
}

/// A column of the events' metadata. Empty when no event has a value, so that nothing is sent: `unnest` fills a shorter
/// array up with nulls.
struct Column<'a>(Vec<Option<&'a str>>);

impl<'a> Column<'a> {
    fn new(events: &'a [NewEvent], field: fn(&Metadata) -> &Option<String>) -> Self {
        let values: Vec<_> = events.iter().map(|event| field(&event.metadata).as_deref()).collect();
        if values.iter().all(Option::is_none) { Self(Vec::new()) } else { Self(values) }
    }
}
