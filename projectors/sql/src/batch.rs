//! The relation `batch`: events of one type, or of any, as arrays that a statement unnests.

use apache_avro::Schema;
use apache_avro::types::Value;
use jiff::Timestamp;
use millrace_projector_runner::{ApplyError, Event};
use millrace_schemas::{DecodeError, RecordSchema};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::columns::{Column, Kind, OF_EVERY_EVENT};
use crate::decode::Cells;

/// Events, column by column.
#[derive(Debug)]
pub(crate) struct Batch {
    fields: Vec<Cells>,
    stream_ids: Vec<String>,
    versions: Vec<i64>,
    positions: Vec<i64>,
    partitions: Vec<i32>,
    recorded_at: Vec<Timestamp>,
    event_ids: Vec<Uuid>,
    user_ids: Vec<Option<String>>,
    correlation_ids: Vec<Option<String>>,
    causation_ids: Vec<Option<String>>,
    sources: Vec<Option<String>>,
    client_addresses: Vec<Option<String>>,
    traceparents: Vec<Option<String>>,
}

impl Batch {
    /// Without events.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            fields: columns.iter().map(|column| Cells::new(column.kind)).collect(),
            stream_ids: Vec::new(),
            versions: Vec::new(),
            positions: Vec::new(),
            partitions: Vec::new(),
            recorded_at: Vec::new(),
            event_ids: Vec::new(),
            user_ids: Vec::new(),
            correlation_ids: Vec::new(),
            causation_ids: Vec::new(),
            sources: Vec::new(),
            client_addresses: Vec::new(),
            traceparents: Vec::new(),
        }
    }

    /// Decodes events. Those written by another version of the schema are read as `reader` reads them; without a
    /// reader, each is of the type and version that it was written with.
    pub(crate) fn from_events<'e>(
        columns: &[Column],
        reader: Option<&RecordSchema>,
        events: impl Iterator<Item = &'e Event>,
    ) -> Result<Self, ApplyError> {
        let mut batch = Self::new(columns);
        for event in events {
            batch.push(event, reader)?;
        }
        Ok(batch)
    }

    fn push(&mut self, event: &Event, reader: Option<&RecordSchema>) -> Result<(), ApplyError> {
        match reader {
            Some(reader) => self.push_fields(event, reader)?,
            None => self.push_whole(event)?,
        }
        self.stream_ids.push(event.stream_id.to_string());
        self.versions.push(event.version);
        self.positions.push(event.position);
        self.partitions.push(event.partition);
        self.recorded_at.push(event.recorded_at);
        self.event_ids.push(event.event_id);
        self.user_ids.push(event.metadata.user_id.clone());
        self.correlation_ids.push(event.metadata.correlation_id.clone());
        self.causation_ids.push(event.metadata.causation_id.clone());
        self.sources.push(event.metadata.source.clone());
        self.client_addresses.push(event.metadata.client_address.clone());
        self.traceparents.push(event.metadata.traceparent.clone());
        Ok(())
    }

    fn push_fields(&mut self, event: &Event, reader: &RecordSchema) -> Result<(), ApplyError> {
        if let (Value::Record(fields), Schema::Record(record)) = (value(event, reader)?, reader.avro()) {
            for ((cells, (name, value)), field) in self.fields.iter_mut().zip(fields).zip(&record.fields) {
                let place = |problem| format!("{}.{name}: {problem}", reader.name);
                cells.push(&field.schema, value).map_err(|problem| ApplyError::Senseless(place(problem)))?;
            }
        }
        Ok(())
    }

    /// The columns of [`of_any_event`](crate::columns::of_any_event).
    fn push_whole(&mut self, event: &Event) -> Result<(), ApplyError> {
        if let [Cells::Text(types), Cells::Jsonb(data)] = &mut self.fields[..] {
            types.push(Some(event.event_type().to_owned()));
            data.push(Some(event.schema.json(event.datum())?));
        }
        Ok(())
    }

    /// The statement's parameters, in the order of [`definition`].
    pub(crate) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let of_every_event: [&(dyn ToSql + Sync); OF_EVERY_EVENT.len()] = [
            &self.stream_ids,
            &self.versions,
            &self.positions,
            &self.partitions,
            &self.recorded_at,
            &self.event_ids,
            &self.user_ids,
            &self.correlation_ids,
            &self.causation_ids,
            &self.sources,
            &self.client_addresses,
            &self.traceparents,
        ];
        self.fields.iter().map(Cells::parameter).chain(of_every_event).collect()
    }
}

fn value(event: &Event, reader: &RecordSchema) -> Result<Value, DecodeError> {
    if event.schema.text == reader.text {
        event.schema.value(event.datum())
    } else {
        event.schema.resolve(event.datum(), reader)
    }
}

/// How a statement says what `batch` is: `batch AS (SELECT * FROM unnest(…) AS batch (…))`. Its arrays are the parameters
/// $1, $2 …, or, for a statement that is only looked at, nulls.
pub(crate) fn definition(columns: &[Column], with_parameters: bool) -> String {
    let all = columns.iter().map(|column| (column.name.as_str(), column.kind)).chain(OF_EVERY_EVENT);
    let (mut arrays, mut names) = (Vec::new(), Vec::new());
    for (number, (name, kind)) in (1..).zip(all) {
        let type_ = kind.sql();
        arrays.push(match (with_parameters, kind) {
            (false, _) => format!("NULL::{type_}[]"),
            // decimals travel as their digits
            (true, Kind::Numeric) => format!("${number}::text[]::numeric[]"),
            (true, _) => format!("${number}::{type_}[]"),
        });
        names.push(format!("\"{name}\""));
    }
    format!("batch AS (SELECT * FROM unnest({}) AS batch ({}))", arrays.join(", "), names.join(", "))
}
