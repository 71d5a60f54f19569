//! Names of the Kafka headers on Millrace's topics.
//!
//! `ce_*`: CloudEvents 1.0, Kafka protocol binding, binary mode. `traceparent`: W3C Trace Context.
//! `kafka_dlt-*`: Spring for Apache Kafka's dead-letter headers, by which Kafka user interfaces send a record again.

/// CloudEvents version, always `1.0`.
pub const CE_SPECVERSION: &str = "ce_specversion";
/// On a command: the command id. On an event: the event id.
pub const CE_ID: &str = "ce_id";
/// The record's name, such as `PlaceOrder`.
pub const CE_TYPE: &str = "ce_type";
/// The program that produced the record.
pub const CE_SOURCE: &str = "ce_source";
/// On an event: its stream's id. On an outcome: the command id.
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
/// Commands and events with the same id belong together. A command without the header has its own id.
pub const CORRELATION_ID: &str = "correlation-id";
/// On a command: the id of whatever caused it. On an event: the command's header, or else the command's id.
pub const CAUSATION_ID: &str = "causation-id";
/// The person or account on whose behalf the command was sent.
pub const USER_ID: &str = "user-id";
/// The network address that the command came from.
pub const CLIENT_ADDRESS: &str = "client-address";
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
/// On a dead letter that would not fit its topic: how many bytes of key, value and headers the writer left out. The
/// other headers say where the original record is, as long as its topic keeps it.
pub const OMITTED_BYTES: &str = "millrace-omitted-bytes";
