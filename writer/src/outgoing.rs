//! What the writer tells: outcomes and dead letters, as Kafka records.

use jiff::Timestamp;
use millrace_runtime::kafka::{Fields, Outgoing, Record};
use millrace_schemas::headers::{
    AVRO, CE_ID, CE_SOURCE, CE_SPECVERSION, CE_SUBJECT, CE_TIME, CE_TYPE, CONTENT_TYPE, CORRELATION_ID,
    DLT_EXCEPTION_FQCN, DLT_EXCEPTION_MESSAGE, DLT_ORIGINAL_CONSUMER_GROUP, DLT_ORIGINAL_OFFSET,
    DLT_ORIGINAL_PARTITION, DLT_ORIGINAL_TIMESTAMP, DLT_ORIGINAL_TIMESTAMP_TYPE, DLT_ORIGINAL_TOPIC, OMITTED_BYTES,
    OUTCOME, TRACEPARENT,
};
use millrace_schemas::{Codec, EncodeError, LogName, Metadata, Outcome, Topic};
use rdkafka::Message;
use rdkafka::Timestamp as KafkaTimestamp;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

use crate::command::Unreadable;

/// Largest record that is dead-lettered whole, in bytes of key, value and headers; well below what its topic takes, also
/// where that has Kafka's usual limit of 1 MiB.
const MAX_DEAD_LETTER: usize = 1_000_000;

/// An outcome, ready to be sent.
#[derive(Debug)]
pub struct OutcomeRecord {
    command_id: String,
    value: Vec<u8>,
    headers: OwnedHeaders,
}

impl OutcomeRecord {
    /// Encodes an outcome. `metadata` is the command's.
    ///
    /// # Errors
    /// When the schema can't hold it.
    pub fn new(codec: &Codec, log: &LogName, outcome: &Outcome, metadata: &Metadata) -> Result<Self, EncodeError> {
        let value = codec.encode(Topic::Outcomes, "Outcome", outcome)?;
        let source = format!("millrace/{log}");
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
        Ok(Self { command_id: outcome.command_id.clone(), value, headers })
    }

    /// As a record of the outcomes topic.
    pub fn outgoing<'a>(&'a self, topic: &'a str) -> Outgoing<'a> {
        Outgoing {
            topic,
            partition: None,
            key: Some(self.command_id.as_bytes()),
            value: Some(&self.value),
            headers: self.headers.clone(),
            timestamp: None,
        }
    }
}

/// The outcome of unreadable input, for the sender that can be named.
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

/// The record as it came, with why it could not be read and where it came from in headers that redrive tools know. Of
/// one that the topic might not take only those headers are kept, with the size of what is left out.
pub fn dead_letter<'a>(topic: &'a str, group: &str, record: &'a Record, unreadable: &Unreadable) -> Outgoing<'a> {
    let message = &record.message;
    let bytes = bytes(message);
    if bytes <= MAX_DEAD_LETTER {
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

/// Size of a record's key, value and headers.
fn bytes(message: &OwnedMessage) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    length(message.key()) + length(message.payload()) + Fields::bytes(message)
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header { key, value: Some(value) }
}
