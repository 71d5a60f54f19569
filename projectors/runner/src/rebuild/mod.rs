//! Rebuilding a read model: a new build is filled beside the live one, compared with it, and takes its place.
//!
//! Promises: readers see the live build until the new one takes its place in one transaction; nobody who fills the old
//! build can write to the new one; each step can be broken off at any moment and be taken again. The new build is filled
//! from Postgres, so it does not matter what the topic still has.

mod builds;
mod compare;
mod error;
mod fill;
mod grants;
mod parting;
mod readers;
mod replay;
mod switch;

pub use builds::{Build, build_in, builds, create_build, create_tables, drop_build, drop_read_model, next_number};
pub use compare::{Comparison, Example, TableDifference, compare};
pub use error::RebuildError;
pub use fill::{Filling, Pace};
pub use parting::{explanations, partings};
pub use replay::{Cause, Replay, RowKey, Side};
pub use switch::{Switched, switch};
