//! The name of a log, and the names that follow from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A log's name: lower-case letters and digits, beginning with a letter, at most 40, such as `orders`.
///
/// The log's Postgres schema has this very name, and the names of its topics and consumer groups begin with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogName(String);

/// The text is not a log name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log name: use 1 to 40 lower-case letters and digits, a letter first, and not \"public\"")]
pub struct ParseLogNameError(String);

impl LogName {
    /// The bare name, which needs no quoting in SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why no new log may have the name, although it is well-formed; `None` when it may.
    pub fn reserved(&self) -> Option<&'static str> {
        self.0.starts_with("pg").then_some("names that begin with pg are for Postgres' own schemas")
    }

    /// The topic that senders write commands to.
    pub fn commands_topic(&self) -> String {
        format!("{}.commands", self.0)
    }

    /// The topic that carries every committed event.
    pub fn events_topic(&self) -> String {
        format!("{}.events", self.0)
    }

    /// The topic that carries the outcome of each command.
    pub fn outcomes_topic(&self) -> String {
        format!("{}.outcomes", self.0)
    }

    /// The topic for records of the command topic that no writer could read.
    pub fn dead_letters_topic(&self) -> String {
        format!("{}.dead-letters", self.0)
    }

    /// The `ce_source` of records that nobody else is the source of.
    pub fn source(&self) -> String {
        format!("millrace/{}", self.0)
    }

    /// The consumer group of the writers.
    pub fn writer_group(&self) -> String {
        format!("{}.writer", self.0)
    }

    /// The consumer group of the relays.
    pub fn relay_group(&self) -> String {
        format!("{}.relay", self.0)
    }

    /// The consumer group of one generation of a projector; each generation has its own read model.
    pub fn projector_group(&self, projector: &str, generation: i32) -> String {
        format!("{}.{projector}.g{generation}", self.0)
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
