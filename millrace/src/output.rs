//! Printing results.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For a person.
    Text,
    /// JSON, for a program: one value, or from `tail` one a line.
    Json,
}

impl Output {
    /// Prints `result` as one JSON object, or as `text` makes it.
    pub fn print<T: Serialize>(self, result: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let printed = match self {
            Self::Json => serde_json::to_string_pretty(result)?,
            Self::Text => text(result).trim_end().to_owned(),
        };
        write_line(&printed).map(|_| ())
    }

    /// Prints one of many results as a line: JSON, or the text that `text` makes. False when the reader has left.
    pub fn print_line<T: Serialize>(self, result: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<bool> {
        write_line(&match self {
            Self::Json => serde_json::to_string(result)?,
            Self::Text => text(result),
        })
    }
}

/// How many there are of something: "1 problem", "2 problems".
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text from outside as it may be shown: a control character could make the terminal show something else.
pub fn escaped(text: &str) -> String {
    let character = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(character).collect()
}

/// False when whoever read us has read enough.
fn write_line(printed: &str) -> anyhow::Result<bool> {
    match writeln!(std::io::stdout(), "{printed}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(escaped("\u{1b}[2Ja\nb\u{9b}é"), "\\u{1b}[2Ja\\nb\\u{9b}é");
    }
}
