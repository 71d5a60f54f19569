//! The logs that Millrace brings along, one module each: their records as Rust types, and their rules.

pub mod ledger;
