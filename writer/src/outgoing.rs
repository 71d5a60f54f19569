//! Outcomes and dead letters as Kafka records.

use jiff::Timestamp;
use millrace_runtime::kafka::{Fields, Outgoing, Record};
use millrace_schemas::headers::{
    AVRO, CE_ID, CE_SOURCE, CE_SPECVERSION, CE_SUBJECT, CE_TIME, CE_TYPE, CONTENT_TYPE, CORRELATION_ID,
    DLT_EXCEPTION_FQCN, DLT_EXCEPTION_MESSAGE, DLT_ORIGINAL_CONSUMER_GROUP, DLT_ORIGINAL_OFFSET,
    DLT_ORIGINAL_PARTITION, DLT_ORIGINAL_TIMESTAMP, DLT_ORIGINAL_TIMESTAMP_TYPE, DLT_ORIGINAL_TOPIC, OMITTED_BYTES,
    OUTCOME, TRACEPARENT,
};
use millrace_schemas::{EncodeError, LogName, Metadata, Outcome, RecordSchema, framing};
use rdkafka::Message;
use rdkafka::Timestamp as KafkaTimestamp;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

use crate::command::Unreadable;

/// Largest record that becomes a dead letter whole, in bytes of key, value and headers. Well below the limit of its
/// topic, also if somebody created that with Kafka's usual limit of 1 MiB.
pub const MAX_DEAD_LETTER: usize = 1_000_000;
/// Longest message of a shortened outcome, in characters.
const MAX_SHORT_MESSAGE: usize = 1000;

/// An outcome, encoded and ready to send.
#[derive(Debug)]
pub struct OutcomeRecord {
    command_id: String,
    value: Vec<u8>,
    headers: OwnedHeaders,
    is_short: bool,
}

impl OutcomeRecord {
    /// Encodes an outcome. `metadata` is the command's.
    ///
    /// # Errors
    /// When the outcome does not fit the schema.
    pub fn new(
        schema: &RecordSchema,
        log: &LogName,
        outcome: &Outcome,
        metadata: &Metadata,
    ) -> Result<Self, EncodeError> {
        let value = schema.encode_framed(outcome)?;
        let source = log.source();
        let time = Timestamp::from_microsecond(outcome.recorded_at).unwrap_or_default().to_string();
        let headers = OwnedHeaders::new()
            .insert(text(CE_SPECVERSION, "1.0"))
            .insert(text(CE_ID, &outcome.command_id))
            .insert(text(CE_TYPE, "Outcome"))
            .insert(text(CE_SOURCE, &source))
            .insert(text(CE_SUBJECT, &outcome.command_id))
            .insert(text(CE_TIME, &time))
            .insert(text(CONTENT_TYPE, AVRO))
            .insert(text(OUTCOME, outcome.outcome.as_str()));
        let optional = [(CORRELATION_ID, &metadata.correlation_id), (TRACEPARENT, &metadata.traceparent)];
        let headers = optional.into_iter().fold(headers, |headers, (name, value)| match value {
            Some(value) => headers.insert(text(name, value)),
            None => headers,
        });
        Ok(Self { command_id: outcome.command_id.clone(), value, headers, is_short: false })
    }

    /// The id of its command.
    pub fn command_id(&self) -> &str {
        &self.command_id
    }

    /// Size of its value, in bytes.
    pub fn bytes(&self) -> usize {
        self.value.len()
    }

    /// Whether it is shortened already.
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// Cuts the message and leaves out the streams. `schema` is the one that it was made with.
    pub fn shorten(&mut self, schema: &RecordSchema) {
        self.is_short = true;
        let outcome = framing::unframe(&self.value).ok().and_then(|(_, datum)| schema.decode::<Outcome>(datum).ok());
        // what was encoded with a schema can be decoded with it
        if let Some(value) = outcome.and_then(|outcome| schema.encode_framed(&short(outcome)).ok()) {
            self.value = value;
        }
    }

    /// The record for the outcomes topic.
    pub fn outgoing<'a>(&'a self, topic: &'a str, partition: i32) -> Outgoing<'a> {
        Outgoing {
            topic,
            partition: Some(partition),
            key: Some(self.command_id.as_bytes()),
            value: Some(&self.value),
            headers: self.headers.clone(),
            timestamp: None,
        }
    }
}

fn short(outcome: Outcome) -> Outcome {
    let message = outcome.message.map(|message| match message.char_indices().nth(MAX_SHORT_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    });
    Outcome { message, streams: Vec::new(), ..outcome }
}

/// The outcome of unreadable input, for a sender that gave a command id.
pub fn dead_lettered(command_id: &str, unreadable: &Unreadable) -> Outcome {
    Outcome {
        command_id: command_id.to_owned(),
        command_type: String::new(),
        outcome: Unreadable::OUTCOME,
        code: Some(unreadable.code.to_owned()),
        message: Some(unreadable.reason.clone()),
        token: None,
        streams: Vec::new(),
        recorded_at: Timestamp::now().as_microsecond(),
    }
}

/// The record as it came, with added headers that say why it could not be read and where it came from; redrive tools
/// know them. If the record has more than `whole` bytes, only the added headers remain, with the size of the omitted
/// rest.
pub fn dead_letter<'a>(
    topic: &'a str,
    group: &str,
    record: &'a Record,
    unreadable: &Unreadable,
    whole: usize,
) -> Outgoing<'a> {
    let message = &record.message;
    let bytes = bytes(message);
    if bytes <= whole {
        let headers = with_origin(message.headers().cloned().unwrap_or_default(), message, group, unreadable);
        return Outgoing {
            topic,
            partition: None,
            key: message.key(),
            value: message.payload(),
            headers,
            timestamp: None,
        };
    }
    let kept = OwnedHeaders::new().insert(text(OMITTED_BYTES, &bytes.to_string()));
    let kept = match &unreadable.sender {
        Some(sender) => kept.insert(text(CE_ID, &sender.command_id)),
        None => kept,
    };
    let headers = with_origin(kept, message, group, unreadable);
    Outgoing { topic, partition: None, key: None, value: None, headers, timestamp: None }
}

fn with_origin(headers: OwnedHeaders, message: &OwnedMessage, group: &str, unreadable: &Unreadable) -> OwnedHeaders {
    let (kind, milliseconds) = match message.timestamp() {
        KafkaTimestamp::CreateTime(ms) => ("CreateTime", ms),
        KafkaTimestamp::LogAppendTime(ms) => ("LogAppendTime", ms),
        KafkaTimestamp::NotAvailable => ("NoTimestampType", -1),
    };
    headers
        .insert(text(DLT_ORIGINAL_TOPIC, message.topic()))
        .insert(Header { key: DLT_ORIGINAL_PARTITION, value: Some(&message.partition().to_be_bytes()) })
        .insert(Header { key: DLT_ORIGINAL_OFFSET, value: Some(&message.offset().to_be_bytes()) })
        .insert(Header { key: DLT_ORIGINAL_TIMESTAMP, value: Some(&milliseconds.to_be_bytes()) })
        .insert(text(DLT_ORIGINAL_TIMESTAMP_TYPE, kind))
        .insert(text(DLT_ORIGINAL_CONSUMER_GROUP, group))
        .insert(text(DLT_EXCEPTION_FQCN, unreadable.code))
        .insert(text(DLT_EXCEPTION_MESSAGE, &unreadable.reason))
}

/// Size of a record's key, value and headers, in bytes.
pub fn bytes(message: &OwnedMessage) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    length(message.key()) + length(message.payload()) + Fields::bytes(message)
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header { key, value: Some(value) }
}
