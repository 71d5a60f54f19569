//! How each server is configured and started, and how it shows that it is ready.
//!
//! A data folder that a server needs is prepared beside its place and renamed when it is whole. A server counts as
//! ready only after it has answered a request in its own protocol. Every server listens on 127.0.0.1 only.

mod databases;
mod health;
pub(crate) mod java;
mod jvm;
mod kafka;
mod kafka_probe;
mod password;
pub(crate) mod ports;
mod postgres;
mod registry;
mod registry_probe;

pub(crate) use databases::{Databases, MILLRACE};
pub(crate) use health::until_ready;
pub(crate) use kafka::Kafka;
pub(crate) use kafka_probe::KafkaProbe;
pub(crate) use password::Password;
pub use ports::Ports;
pub(crate) use postgres::Postgres;
pub(crate) use registry::{Registry, url as registry_url};
pub(crate) use registry_probe::RegistryProbe;
