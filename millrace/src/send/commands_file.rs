//! A file of commands.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use super::outgoing;
use crate::exit::Usage;
use crate::producing::OutgoingCommand;

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    r#type: String,
    data: serde_json::Value,
}

/// Reads all commands of a file, or of standard input when its path is `-`.
///
/// # Errors
/// When the file can't be read, or a line is no command; names the line.
pub fn read_file(path: &Path) -> anyhow::Result<Vec<OutgoingCommand>> {
    let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|e| Usage(format!("{} can't be read: {e}", path.display())))?;
        Box::new(BufReader::new(file))
    };
    let mut commands = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let place = |problem: String| Usage(format!("{}, line {}: {problem}", path.display(), index + 1));
        let line = line.with_context(|| format!("{} can't be read", path.display()))?;
        let Line { id, r#type, data } = serde_json::from_str(&line).map_err(|e| place(e.to_string()))?;
        commands.push(outgoing(id, &r#type, &data).map_err(place)?);
    }
    Ok(commands)
}
