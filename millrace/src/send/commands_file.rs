//! A file of commands.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::outgoing;
use crate::exit::Usage;
use crate::logs::Log;
use crate::producing::OutgoingCommand;

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    r#type: String,
    data: serde_json::Value,
}

/// Reads all commands of a file, or of standard input when its path is `-`. Blank lines are skipped.
///
/// # Errors
/// When the file can't be read, or a line is not a command; the error names the line.
pub fn read_file(log: &Log, path: &Path) -> anyhow::Result<Vec<OutgoingCommand>> {
    let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|e| Usage(format!("{} can't be read: {e}", path.display())))?;
        Box::new(BufReader::new(file))
    };
    read_lines(log, reader, path)
}

fn read_lines(log: &Log, reader: impl BufRead, path: &Path) -> anyhow::Result<Vec<OutgoingCommand>> {
    let mut commands = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let place = |problem: String| Usage(format!("{}, line {}: {problem}", path.display(), index + 1));
        let line = line.with_context(|| format!("{} can't be read", path.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let Line { id, r#type, data } = serde_json::from_str(&line).map_err(|e| place(e.to_string()))?;
        commands.push(outgoing(log, id, &r#type, &data).map_err(place)?);
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_skipped_and_counted() {
        let line = r#"{"id": "c", "type": "CloseAccount", "data": {"account_id": "a"}}"#;
        let read = |text: String| read_lines(&crate::ledger(), text.as_bytes(), Path::new("FILE"));
        assert_eq!(read(format!("{line}\n\n  \n{line}\n\n")).unwrap().len(), 2);
        let refused = read(format!("{line}\n\n{{}}\n")).unwrap_err().to_string();
        assert!(refused.starts_with("FILE, line 3:"), "{refused}");
    }
}
