//! Names of the Kafka headers on Millrace's topics.
//!
//! `ce_*`: CloudEvents 1.0, Kafka protocol binding, binary mode. `traceparent`: W3C Trace Context.
//! `kafka_dlt-*`: Spring for Apache Kafka's dead-letter headers, which user interfaces know how to redrive.

/// CloudEvents version, always `1.0`.
pub const CE_SPECVERSION: &str = "ce_specversion";
/// On a command: the command id. On an event: the event id.
pub const CE_ID: &str = "ce_id";
/// The record's name, such as `PostEntrySet`.
pub const CE_TYPE: &str = "ce_type";
/// Who produced it.
pub const CE_SOURCE: &str = "ce_source";
/// The stream id.
pub const CE_SUBJECT: &str = "ce_subject";
/// RFC 3339; on an event, when it was recorded.
pub const CE_TIME: &str = "ce_time";
/// Media type of the value.
pub const CONTENT_TYPE: &str = "content-type";
/// Media type of a JSON command.
pub const JSON: &str = "application/json";
/// Media type of a value in Avro with Confluent framing.
pub const AVRO: &str = "application/avro";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// What belongs together; on a command without it, the command id.
pub const CORRELATION_ID: &str = "correlation-id";
/// On an event: the id of the command that caused it.
pub const CAUSATION_ID: &str = "causation-id";
/// On a command: the version that its first stream must have.
pub const EXPECTED_VERSION: &str = "expected-version";
/// On an event: its version in its stream.
pub const STREAM_VERSION: &str = "stream-version";
/// On an event: its position in its partition.
pub const LOG_POSITION: &str = "log-position";
/// On an outcome: `accepted`, `rejected`, `conflict` or `dead-lettered`.
pub const OUTCOME: &str = "outcome";

/// Topic that a dead letter came from.
pub const DLT_ORIGINAL_TOPIC: &str = "kafka_dlt-original-topic";
/// Its partition, 4 bytes big-endian.
pub const DLT_ORIGINAL_PARTITION: &str = "kafka_dlt-original-partition";
/// Its offset, 8 bytes big-endian.
pub const DLT_ORIGINAL_OFFSET: &str = "kafka_dlt-original-offset";
/// Its timestamp in milliseconds, 8 bytes big-endian.
pub const DLT_ORIGINAL_TIMESTAMP: &str = "kafka_dlt-original-timestamp";
/// `CreateTime` or `LogAppendTime`.
pub const DLT_ORIGINAL_TIMESTAMP_TYPE: &str = "kafka_dlt-original-timestamp-type";
/// Group that refused it.
pub const DLT_ORIGINAL_CONSUMER_GROUP: &str = "kafka_dlt-original-consumer-group";
/// Stable code of the reason.
pub const DLT_EXCEPTION_FQCN: &str = "kafka_dlt-exception-fqcn";
/// The reason, a sentence.
pub const DLT_EXCEPTION_MESSAGE: &str = "kafka_dlt-exception-message";
/// On a dead letter that would not fit its topic: how many bytes of key, value and headers were left out. The original is
/// where the other headers say, as long as its topic keeps it.
pub const OMITTED_BYTES: &str = "millrace-omitted-bytes";
