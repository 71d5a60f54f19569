//! The contract between everything that reads or writes a log: its names, its records, and their bytes.
//!
//! This crate has the types for streams, versions and tokens; log definitions with the schemas of their records; the
//! codec, which reads and writes those records as Avro (in the registry's framing) and as JSON; and the client of the
//! schema registry. It talks to the registry and to nothing else.

mod avro_json;
mod codec;
mod datum;
mod definition;
mod event;
mod evolution;
mod expected_version;
pub mod framing;
pub mod headers;
mod log_folder;
mod log_name;
mod logical;
mod outcome;
mod partition;
mod record_schema;
mod registry;
mod stream_id;
mod strict_json;
mod token;

pub use avro_json::{Mismatch, json_from_avro};
pub use codec::{Codec, DecodeError, EncodeError, Received};
pub use datum::hash_of_parts;
pub use definition::{LogDefinition, RecordDefinition, SchemaError, Topic};
pub use event::{Metadata, RecordedEvent};
pub use evolution::{Incompatibility, incompatibilities};
pub use expected_version::{ExpectedVersion, ParseExpectedVersionError};
pub use log_folder::{FolderProblem, LogFolder, in_one_line};
pub use log_name::{LogName, ParseLogNameError};
pub use logical::{Decimal, DecimalType, parse_uuid};
pub use outcome::{Outcome, OutcomeKind, StreamVersion};
pub use partition::partition_of;
pub use record_schema::RecordSchema;
pub use registry::{Registry, RegistryError, SchemaStatus};
pub use stream_id::{ParseStreamIdError, StreamId};
pub use strict_json::from_slice as strict_json;
pub use token::{ParseTokenError, Token};
