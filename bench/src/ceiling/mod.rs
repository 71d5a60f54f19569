//! Ceilings: what the same servers do with the same data without our code in the way.

mod consume;
mod copy;
mod insert;
mod produce;
mod rows;
mod upsert;

pub use consume::{consume, reader};
pub use copy::{copy_in, copy_out};
pub use insert::insert;
pub use produce::{produce, records_of};
pub use rows::{Rows, create_tables};
pub use upsert::Upserts;
