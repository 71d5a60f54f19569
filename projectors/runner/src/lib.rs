//! Running projectors: consumers of a log's events that keep read models in Postgres exactly right.
//!
//! Promises: per partition, a projector applies position p+1 after p, never p twice, and stops that partition rather
//! than apply over a hole. What it applies and the checkpoint that says so commit in one transaction; Kafka's offsets
//! are only where to begin looking. Any number of instances may run. What is not promised: any order between
//! partitions.
//!
//! This crate knows no log and no read model: [`run`] takes any [`Projector`].

mod batch;
mod checkpoints;
mod error;
mod fault;
mod flaw;
mod gap;
mod generation;
mod halts;
mod incoming;
mod intake;
mod mending;
mod metrics;
mod migrate;
mod partitions;
mod plan;
mod probe;
mod projector;
mod read_model;
mod reading;
pub mod rebuild;
mod run;
mod runner;
mod schemas;
mod sharing;
mod spans;
mod status;

pub use checkpoints::{
    Tally, checkpoints, create_checkpoints, event_hash, fingerprint, fingerprints, identifier, other_log, tallies,
};
pub use error::ProjectorError;
pub use generation::{BuildState, Generation, generation};
pub use migrate::migrate;
pub use projector::{ApplyError, Event, Projector};
pub use run::{Ended, OPERATIONS, run};
pub use status::{PartitionStops, Pause, pause, paused, read_models, reset, resume, stops};
