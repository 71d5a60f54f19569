//! Tokens, by which a sender waits until a read model shows its own writes.

use std::fmt;
use std::str::FromStr;

use crate::LogName;

/// The place of a write in its log: `<log>/<partition>@<position>`.
///
/// A command that touched several partitions has one token per partition; their texts are joined by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The log that has the write; positions of two logs can't be compared.
    pub log: LogName,
    /// From 0.
    pub partition: i32,
    /// The position of the write's last event in that partition, from 1.
    pub position: i64,
}

/// The text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a token: it should look like orders/3@17")]
pub struct ParseTokenError(String);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.log, self.partition, self.position)
    }
}

impl FromStr for Token {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (log, place) = text.split_once('/')?;
            let (partition, position) = place.split_once('@')?;
            Some(Self {
                log: log.parse().ok()?,
                partition: partition.parse().ok().filter(|p| *p >= 0)?,
                position: position.parse().ok().filter(|p| *p >= 1)?,
            })
        };
        parse().ok_or_else(|| ParseTokenError(text.chars().take(100).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_what_it_writes() {
        let token: Token = "orders/3@17".parse().unwrap();
        assert_eq!((token.partition, token.position), (3, 17));
        assert_eq!(token.to_string(), "orders/3@17");
        for bad in ["", "orders", "orders/3", "orders/-1@1", "orders/1@0", "led ger/1@1"] {
            assert!(bad.parse::<Token>().is_err(), "{bad:?}");
        }
    }
}
