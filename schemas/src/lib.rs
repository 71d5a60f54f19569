//! The contract: what goes over the wire and into the log, and the words for it.
//!
//! Streams, versions, positions and tokens; the Avro schemas of commands, events and outcomes with their Rust types;
//! the codec between Avro, JSON and the registry's framing; the registry client. No I/O but the registry's.

mod avro_json;
mod codec;
mod contract;
mod event;
mod expected_version;
pub mod framing;
pub mod headers;
pub mod ledger;
mod log_name;
mod outcome;
mod partition;
mod registry;
mod stream_id;
mod strict_json;
mod token;

pub use avro_json::{Mismatch, avro_from_json, json_from_avro};
pub use codec::{Codec, DecodeError, EncodeError, Received};
pub use contract::{Contract, RecordSchema, Topic, TranscodeError};
pub use event::{Metadata, NewEvent, RecordedEvent};
pub use expected_version::{ExpectedVersion, ParseExpectedVersionError};
pub use log_name::{LogName, ParseLogNameError};
pub use outcome::{Outcome, OutcomeKind, StreamVersion};
pub use partition::partition_of;
pub use registry::{Registry, RegistryError, SchemaStatus};
pub use stream_id::{ParseStreamIdError, StreamId};
pub use token::{ParseTokenError, Token};
