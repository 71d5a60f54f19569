//! What became of a command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The four ends a command can come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OutcomeKind {
    /// Its events are committed.
    Accepted,
    /// A rule of the domain said no; sent again it is rejected again.
    Rejected,
    /// The stream was not at the version that the sender expected.
    Conflict,
    /// It could not be read; the dead-letter topic has it.
    DeadLettered,
}

impl OutcomeKind {
    /// The word on the wire.
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

/// A word that names no outcome.
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

/// A stream and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamVersion {
    /// The stream's id.
    pub stream_id: String,
    /// Its version; 0 when it does not exist.
    pub version: i64,
}

/// What became of a command, as `<log>.outcomes` carries it (schema `millrace.Outcome`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The command's id.
    pub command_id: String,
    /// The command's record name; empty where it could not be read.
    pub command_type: String,
    /// Which end it came to.
    pub outcome: OutcomeKind,
    /// Stable code of the reason, absent when accepted.
    pub code: Option<String>,
    /// The reason as a sentence, absent when accepted.
    pub message: Option<String>,
    /// Accepted: tokens of its events, one per partition, joined by commas.
    pub token: Option<String>,
    /// The streams concerned and their versions: after the command when accepted, else as they were found.
    pub streams: Vec<StreamVersion>,
    /// When it was committed, microseconds since 1970.
    pub recorded_at: i64,
}

#[cfg(test)]
mod tests {
    use apache_avro::{from_value, to_value};

    use super::*;
    use crate::{Contract, Topic};

    #[test]
    fn an_outcome_fits_its_schema_and_reads_back() {
        let outcome = Outcome {
            command_id: "c".into(),
            command_type: "CloseAccount".into(),
            outcome: OutcomeKind::DeadLettered,
            code: Some("no_datum".into()),
            message: None,
            token: None,
            streams: vec![StreamVersion { stream_id: "account-1".into(), version: 1 }],
            recorded_at: 1,
        };
        let schema = &Contract::ledger().record(Topic::Outcomes, "Outcome").unwrap().avro;
        let value = to_value(&outcome).unwrap().resolve(schema).unwrap();
        assert_eq!(from_value::<Outcome>(&value).unwrap(), outcome);
    }
}
