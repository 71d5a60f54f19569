//! Projectors: consumers of a log's events that keep read models in Postgres exactly right.
//!
//! Promises: per partition, a projector applies position p+1 after p, never p twice, and stops that partition rather
//! than apply over a hole. What it applies and the checkpoint that says so commit in one transaction; Kafka's offsets
//! are only where to begin looking. Any number of instances may run. What is not promised: any order between
//! partitions.
//!
//! To add a projector: a folder with a type that implements [`Projector`], and its line in `registration.rs`.

mod checkpoints;
mod error;
mod fault;
mod metrics;
mod migrate;
mod projector;
mod registration;
pub mod reporting;
mod runner;
pub mod search;

pub use checkpoints::checkpoints;
pub use error::ProjectorError;
pub use migrate::migrate;
pub use projector::{ApplyError, Event, Projector};
pub use registration::names;
pub use runner::run;
