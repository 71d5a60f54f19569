//! Clients of Kafka: one way to consume, one way to produce, and the topics.

mod config;
mod inbox;
mod meter;
mod outbox;
mod partition_reader;
mod topics;
mod trouble;

pub use config::{client_config, consumer_config, producer_config};
pub use inbox::{Inbox, Offsets, Record};
pub use meter::Meter;
pub use outbox::{Delivered, DeliveryError, Outbox, Outgoing};
pub use partition_reader::PartitionReader;
pub use topics::{TopicError, TopicSpec, create_topics};
