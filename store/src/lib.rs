//! The log in Postgres: appends batches, loads streams, and reads events by position.
//!
//! Promises: per partition, committed positions are 1..n without a hole, in commit order; expected versions hold under
//! any concurrency; a command id takes effect once; the events of one command commit together or not at all. Only this
//! crate has SQL over events. It retries nothing: the caller asks [`StoreError::is_transient`] and retries.
//!
//! Statements name the log's schema, so connections need no search path.

mod announcements;
mod append;
mod checkpoints;
mod command_offsets;
mod definitions;
mod error;
mod find;
mod halts;
mod head;
mod load;
mod log;
mod migrate;
mod outcome;
mod read;
mod schemas;
mod size;
pub mod sql_state;
mod stream_types;

pub use announcements::Announcements;
pub use append::{AppendBatch, Appended, NewCommand, NewEvent};
pub use definitions::StoredDefinition;
pub use error::StoreError;
pub use find::{EventFilter, FoundPage, Span};
pub use halts::Halt;
pub use head::Head;
pub use load::{LastEvent, LoadedEvent};
pub use log::Log;
pub use migrate::{Tables, drop_log, logs, migrate, tables};
pub use outcome::{StoredCommand, command_key};
pub use read::{Cursor, Fork, Identity, Page, PageLimit};
pub use schemas::StoredSchema;
