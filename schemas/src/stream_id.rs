//! The id of a stream, and its rules.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest stream id, in bytes of UTF-8.
const MAX_BYTES: usize = 512;

/// The id of a stream: `<type>-<key>`, such as `account-42`.
///
/// The type is lower-case letters, digits and underscores, beginning with a letter; the key is the rest after the
/// first hyphen, any text without control characters. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

/// The text is not a stream id; the message says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a stream id: {reason}")]
pub struct ParseStreamIdError {
    text: String,
    reason: &'static str,
}

impl StreamId {
    /// Builds `<stream_type>-<key>`.
    ///
    /// # Errors
    /// When the result would not be a stream id.
    pub fn new(stream_type: &str, key: &str) -> Result<Self, ParseStreamIdError> {
        format!("{stream_type}-{key}").parse()
    }

    /// The part before the first hyphen.
    pub fn stream_type(&self) -> &str {
        self.0.split_once('-').map_or("", |(stream_type, _)| stream_type)
    }

    /// The whole id, type and key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule that the text breaks, in words; `None` when it is a stream id.
fn breach(text: &str) -> Option<&'static str> {
    let Some((stream_type, key)) = text.split_once('-') else {
        return Some("it has no hyphen between type and key");
    };
    let mut letters = stream_type.bytes();
    if !letters.next().is_some_and(|b| b.is_ascii_lowercase())
        || !letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    {
        return Some("its type is not lower-case letters, digits and underscores");
    }
    if key.is_empty() {
        return Some("its key is empty");
    }
    if key.chars().any(char::is_control) {
        return Some("its key has a control character");
    }
    (text.len() > MAX_BYTES).then_some("it is longer than 512 bytes")
}

impl FromStr for StreamId {
    type Err = ParseStreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match breach(text) {
            None => Ok(Self(text.into())),
            Some(reason) => Err(ParseStreamIdError { text: text.chars().take(MAX_BYTES).collect(), reason }),
        }
    }
}

impl TryFrom<String> for StreamId {
    type Error = ParseStreamIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_ends_at_the_first_hyphen() {
        let id: StreamId = "account-cash-desk".parse().unwrap();
        assert_eq!(id.stream_type(), "account");
        assert_eq!(id.as_str(), "account-cash-desk");
    }

    #[test]
    fn what_postgres_or_a_reader_could_not_take_is_refused() {
        for bad in ["", "account", "account-", "-1", "Account-1", "1a-1", "account-\0", "account-a\nb"] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad:?}");
        }
        assert!(format!("account-{}", "x".repeat(505)).parse::<StreamId>().is_err());
    }
}
