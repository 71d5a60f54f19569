//! Real transactions of a Czech bank as commands for the ledger, for the demo: the file is inside the binary.
//!
//! [`read`] gives the rows, [`commands::Commands`] makes commands of them, and [`expected`] says, by arithmetic on the
//! rows and not through the commands, what must come out. Where the data comes from, and how exact it is:
//! `data/README.md`.

pub mod commands;
mod description;
pub mod expected;
mod field;
mod file;
mod internal_account;
mod parse_error;
pub mod transaction;

pub use file::read;

#[cfg(test)]
mod declared_ledger;
#[cfg(test)]
mod tests;
