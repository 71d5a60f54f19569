//! What a command expects of the stream it goes to.

use std::fmt;
use std::str::FromStr;

/// The version that a command's first stream must have; else the command's outcome is `conflict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpectedVersion {
    /// Every version will do, also a stream that does not exist.
    #[default]
    Any,
    /// The stream must not exist (version 0).
    NoStream,
    /// The stream must exist, at whatever version.
    StreamExists,
    /// The stream must be at exactly this version, 1 or more.
    Exact(i64),
}

impl ExpectedVersion {
    /// Whether a stream at version `actual` (0: it does not exist) meets the expectation.
    pub fn matches(self, actual: i64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == 0,
            Self::StreamExists => actual > 0,
            Self::Exact(version) => actual == version,
        }
    }

    /// Expects the version that a reader has seen: `NoStream` for 0.
    pub fn at(version: i64) -> Self {
        if version == 0 { Self::NoStream } else { Self::Exact(version) }
    }
}

/// The text is not an expected version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an expected version: use a number, or any, no-stream, stream-exists")]
pub struct ParseExpectedVersionError(String);

impl FromStr for ExpectedVersion {
    type Err = ParseExpectedVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "no-stream" => Ok(Self::NoStream),
            "stream-exists" => Ok(Self::StreamExists),
            _ => match text.parse::<i64>() {
                Ok(version) if version >= 0 => Ok(Self::at(version)),
                _ => Err(ParseExpectedVersionError(text.chars().take(100).collect())),
            },
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("no-stream"),
            Self::StreamExists => f.write_str("stream-exists"),
            Self::Exact(version) => write!(f, "{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expected_version_reads_back_what_it_writes() {
        for expected in
            [ExpectedVersion::Any, ExpectedVersion::NoStream, ExpectedVersion::StreamExists, ExpectedVersion::Exact(7)]
        {
            assert_eq!(expected.to_string().parse(), Ok(expected));
        }
        assert_eq!("0".parse(), Ok(ExpectedVersion::NoStream));
        assert!("-1".parse::<ExpectedVersion>().is_err());
        assert!("latest".parse::<ExpectedVersion>().is_err());
    }
}
