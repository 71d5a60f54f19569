//! Tokens for reading one's own writes.

use std::fmt;
use std::str::FromStr;

use crate::LogName;

/// Where a write stands in its log: `<log>/<partition>@<position>`.
///
/// A command that touched several partitions has one token per partition; their texts are joined by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The log.
    pub log: LogName,
    /// The partition.
    pub partition: i32,
    /// The position of the write's last event in that partition.
    pub position: i64,
}

/// Why a text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a token: it should look like ledger/3@17")]
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
        let token: Token = "ledger/3@17".parse().unwrap();
        assert_eq!((token.partition, token.position), (3, 17));
        assert_eq!(token.to_string(), "ledger/3@17");
        for bad in ["", "ledger", "ledger/3", "ledger/-1@1", "ledger/1@0", "led ger/1@1"] {
            assert!(bad.parse::<Token>().is_err(), "{bad:?}");
        }
    }
}
