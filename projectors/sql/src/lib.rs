//! Projectors described in SQL alone: a folder with the tables of a read model, and one statement for each event type.
//!
//! Promises: nothing of a folder takes effect before all of it has been checked on the real Postgres; the events of a
//! batch have an effect as if they had been applied one by one, in the order of each partition, provided that the
//! statements do not depend on where batches end, which [`check`] tests on generated events.
//!
//! This crate knows no log: what an event is made of comes from its Avro schema.

mod apply;
mod batch;
mod check;
mod columns;
mod decode;
mod definition;
mod error;
mod folder;
mod generated;
mod place;
mod projector;
mod quoted;
mod reduce;
mod role;
mod rounds;
mod statement;
mod stream_types;
mod tables;
mod volatile;

pub use apply::{Applied, Ending, apply, create_build};
pub use check::{Checked, check};
pub use definition::{StoredProjector, log_of, names, names_of_log, stored, stored_in};
pub use error::SqlProjectorError;
pub use folder::{ProjectorFolder, Reads};
pub use projector::SqlProjector;
pub use stream_types::StreamTypes;
