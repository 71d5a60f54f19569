//! The name of a log, and the names that follow from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A log's name: lower-case letters and digits, beginning with a letter, at most 40, such as `ledger`.
///
/// It is the log's Postgres schema as it stands, and the first part of its topics' names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogName(String);

/// Why a text is no log name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log name: use 1 to 40 lower-case letters and digits, a letter first, and not \"public\"")]
pub struct ParseLogNameError(String);

impl LogName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic that commands come in by.
    pub fn commands_topic(&self) -> String {
        format!("{}.commands", self.0)
    }

    /// The topic that carries every committed event.
    pub fn events_topic(&self) -> String {
        format!("{}.events", self.0)
    }

    /// The topic that carries what became of each command.
    pub fn outcomes_topic(&self) -> String {
        format!("{}.outcomes", self.0)
    }

    /// The topic for input that could not be read.
    pub fn dead_letters_topic(&self) -> String {
        format!("{}.dead-letters", self.0)
    }
}

impl FromStr for LogName {
    type Err = ParseLogNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = text.len() <= 40
            && text != "public"
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseLogNameError(text.chars().take(100).collect())) }
    }
}

impl TryFrom<String> for LogName {
    type Error = ParseLogNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LogName> for String {
    fn from(name: LogName) -> Self {
        name.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
