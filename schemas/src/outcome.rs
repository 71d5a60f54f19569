//! What became of a command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::codec::EncodeError;
use crate::record_schema::RecordSchema;

/// The four ends a command can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OutcomeKind {
    /// Its events are committed.
    Accepted,
    /// A rule of the domain refused it. The same command sent again is rejected again.
    Rejected,
    /// The stream was not at the version that the sender expected.
    Conflict,
    /// The writer could not read it and put it on the dead-letter topic.
    DeadLettered,
}

impl OutcomeKind {
    /// The word in the header `outcome` and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::DeadLettered => "dead-lettered",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an outcome")]
pub struct ParseOutcomeError(String);

impl FromStr for OutcomeKind {
    type Err = ParseOutcomeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Accepted, Self::Rejected, Self::Conflict, Self::DeadLettered]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParseOutcomeError(text.to_owned()))
    }
}

impl TryFrom<String> for OutcomeKind {
    type Error = ParseOutcomeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OutcomeKind> for String {
    fn from(kind: OutcomeKind) -> Self {
        kind.as_str().to_owned()
    }
}

/// A stream and how many events it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamVersion {
    /// Such as `account-42`.
    pub stream_id: String,
    /// The version of its last event; 0 when the stream does not exist.
    pub version: i64,
}

/// What became of a command, as `<log>.outcomes` carries it (schema `millrace.Outcome`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The header `ce_id`, as its sender wrote it.
    pub command_id: String,
    /// The command's record name; empty where the writer could not read it.
    pub command_type: String,
    /// Which of the four ends the command came to.
    pub outcome: OutcomeKind,
    /// Stable code of the reason, absent when accepted.
    pub code: Option<String>,
    /// The reason as a sentence, absent when accepted.
    pub message: Option<String>,
    /// Accepted: tokens of its events, one per partition, joined by commas.
    pub token: Option<String>,
    /// The command's streams. Accepted: their versions after the command; else the versions that the writer found.
    pub streams: Vec<StreamVersion>,
    /// When the writer committed it, in microseconds since 1970.
    pub recorded_at: i64,
}

impl Outcome {
    /// The datum without its last field, `recorded_at`: Postgres adds that when it commits.
    ///
    /// # Errors
    /// When the outcome does not fit the schema.
    pub fn encode_without_time(&self, schema: &RecordSchema) -> Result<Vec<u8>, EncodeError> {
        let mut datum = schema.encode(&Self { recorded_at: 0, ..self.clone() })?;
        datum.pop(); // Avro writes the time 0 as one byte
        Ok(datum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordSchema, Topic};

    #[test]
    fn an_outcome_fits_its_schema_and_reads_back() {
        let outcome = Outcome {
            command_id: "c".into(),
            command_type: "CloseTicket".into(),
            outcome: OutcomeKind::DeadLettered,
            code: Some("no_datum".into()),
            message: None,
            token: None,
            streams: vec![StreamVersion { stream_id: "account-1".into(), version: 1 }],
            recorded_at: 1,
        };
        let schema = RecordSchema::parse(Topic::Outcomes, 1, include_str!("../platform/Outcome.avsc")).unwrap();
        assert_eq!(schema.decode::<Outcome>(&schema.encode(&outcome).unwrap()).unwrap(), outcome);
    }

    /// The store adds the time of the commit where the rest of the datum ends.
    #[test]
    fn an_outcomes_datum_ends_with_when_it_was_recorded() {
        let schema = RecordSchema::parse(Topic::Outcomes, 1, include_str!("../platform/Outcome.avsc")).unwrap();
        let outcome = Outcome {
            command_id: "c".into(),
            command_type: String::new(),
            outcome: OutcomeKind::Accepted,
            code: None,
            message: None,
            token: None,
            streams: Vec::new(),
            recorded_at: 1_795_255_200_123_456,
        };
        let whole = schema.encode(&outcome).unwrap();
        let begun = outcome.encode_without_time(schema).unwrap();
        assert!(whole.starts_with(&begun));
        assert_eq!(whole.len() - begun.len(), 8, "a number of that size has eight bytes");
    }
}
