//! The read models that Millrace brings along. Each has a folder with its projector, tables and queries.
//!
//! To add one, add a folder with a type that implements [`millrace_projector_runner::Projector`], and a line in
//! `registration.rs`.

mod registration;
pub mod reporting;
pub mod search;

pub use registration::{UnknownProjector, all, find, names};
