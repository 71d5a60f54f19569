//! The log in Postgres: append, load, read by position.
//!
//! Promises: per partition, committed positions are 1..n without a hole, in commit order; expected versions hold under
//! any concurrency; a command id takes effect once; what is appended by one command commits whole or not at all. This
//! crate holds the only SQL over events. It retries nothing: [`StoreError::is_transient`] tells what may be retried.
//!
//! Every connection used with it must have the log's schema first on its `search_path`.

mod announcements;
mod append;
mod checkpoints;
mod error;
mod load;
mod log;
mod migrate;
mod outcome;
mod read;
mod size;

pub use announcements::Announcements;
pub use append::{Append, Check, Verdict};
pub use error::StoreError;
pub use load::{LoadedEvent, load};
pub use log::Log;
pub use migrate::migrate;
pub use read::Cursor;
