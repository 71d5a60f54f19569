//! The logs that Millrace brings along: the ledger in Rust, the others as folders.

pub mod bundled;
pub mod ledger;
