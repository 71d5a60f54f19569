//! Printing results.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For a person.
    Text,
    /// One JSON object, for a program.
    Json,
}

impl Output {
    /// Prints `result` as one JSON object, or as `text` makes it.
    pub fn print<T: Serialize>(self, result: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let printed = match self {
            Self::Json => serde_json::to_string_pretty(result)?,
            Self::Text => text(result).trim_end().to_owned(),
        };
        let written = writeln!(std::io::stdout(), "{printed}");
        match written {
            // whoever read us has read enough
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}
