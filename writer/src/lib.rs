//! The writer: takes commands from Kafka, decides them, commits their events, tells what became of them.
//!
//! Promises: a command id takes effect once, however often it comes; nothing is acknowledged before it is durable;
//! nothing is dropped without an outcome or a dead letter. A batch goes decide in memory → one append → outcomes →
//! offsets. Order is kept inside a topic's partition.

mod acknowledge;
mod command;
mod commit;
mod decide;
mod domain;
mod error;
mod ingest;
mod ledger;
mod metrics;
mod outgoing;
mod read;
mod service;
mod spans;
mod stages;
mod states;

pub use domain::{Domain, Rejection};
pub use error::WriterError;
pub use ledger::Ledger;
pub use service::run;
