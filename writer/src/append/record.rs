//! The record `Append`, as `schemas/platform/Append.avsc` describes it.

use std::fmt;

use millrace_schemas::{ExpectedVersion, ParseExpectedVersionError};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The command.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendRecord {
    pub streams: Vec<StreamRecord>,
}

/// What to append to a stream.
#[derive(Debug, Serialize, Deserialize)]
pub struct StreamRecord {
    pub stream: String,
    pub expected_version: Expected,
    pub events: Vec<AppendedEvent>,
}

/// A finished event.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendedEvent {
    #[serde(with = "bytes")]
    pub data: Vec<u8>,
    pub id: Option<String>,
}

/// An expected version as it is written: a word or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Word(String),
    Number(i64),
}

impl Default for Expected {
    fn default() -> Self {
        Self::Word("any".to_owned())
    }
}

impl Expected {
    /// The expected version.
    ///
    /// # Errors
    /// When the word or the number is not one.
    pub fn parsed(&self) -> Result<ExpectedVersion, ParseExpectedVersionError> {
        match self {
            Self::Word(word) => word.parse(),
            Self::Number(version) => version.to_string().parse(),
        }
    }
}

impl Serialize for Expected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Word(word) => serializer.serialize_str(word),
            Self::Number(version) => serializer.serialize_i64(*version),
        }
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Expected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any, no-stream, stream-exists, or a version")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Expected, E> {
                Ok(Expected::Word(word.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, version: i64) -> Result<Expected, E> {
                Ok(Expected::Number(version))
            }

            fn visit_u64<E: de::Error>(self, version: u64) -> Result<Expected, E> {
                i64::try_from(version).map(Expected::Number).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Avro's `bytes`, which serde otherwise takes for an array of numbers.
mod bytes {
    use std::fmt;

    use serde::de::{self, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
