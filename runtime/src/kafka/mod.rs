//! Clients of Kafka: one way to consume, one way to produce, and the topics.

mod aside;
mod committed;
mod config;
mod fields;
mod inbox;
mod members;
mod meter;
mod outbox;
mod partition_reader;
mod properties;
mod topic_settings;
mod topics;
mod trouble;

pub use aside::aside;
pub use committed::copy_offsets;
pub use config::{client_config, consumer_config, gathering_consumer_config, producer_config, prompt_producer_config};
pub use fields::Fields;
pub use inbox::{Inbox, Offsets, Record, Standing, StartOffsets};
pub use members::{GroupMember, group_client_ids, group_members};
pub use meter::Meter;
pub use outbox::{Delivered, DeliveryError, Outbox, Outgoing};
pub use partition_reader::PartitionReader;
pub(crate) use properties::check_properties;
pub use topic_settings::{TopicRole, check_topic_settings};
pub use topics::{TopicError, TopicSpec, check_topics, create_topics, delete_topics, topic_partitions};
