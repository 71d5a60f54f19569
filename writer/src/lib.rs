//! The writer: reads commands from Kafka, decides them, commits their events, and sends their outcomes.
//!
//! Promises: a command id takes effect once, however often it comes; the writer acknowledges nothing before it is
//! durable, and drops nothing without an outcome or a dead letter. For each batch it decides in memory, appends once,
//! sends the outcomes, and then commits the offsets. It keeps the order inside a partition of the command topic.

mod acknowledge;
mod append;
mod attempt;
mod cache;
mod command;
mod commit;
mod decide;
pub mod declared;
mod definition;
mod definition_watch;
mod described;
mod domain;
mod encoder;
mod error;
mod ingest;
mod metrics;
mod no_rules;
mod outgoing;
mod progress;
mod read;
mod schemas;
mod service;
mod spans;
mod stages;
mod starts;
mod waiting;

pub use append::{APPEND, hash_of_append};
pub use command::hash_of_command;
pub use declared::DeclaredDomain;
pub use described::{DefinitionError, Described};
pub use domain::{Domain, Rejection};
pub use error::WriterError;
pub use no_rules::NoRules;
pub use service::{run, run_described};
