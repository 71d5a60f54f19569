//! `log.toml`: the log's properties.

use toml::{Table, Value};

use super::problems::Problems;
use crate::{LogFolder, LogName, StreamId};

/// Partitions of a log whose `log.toml` says nothing.
const PARTITIONS: u32 = 12;
/// The keys that the file may have.
const KEYS: [&str; 3] = ["name", "partitions", "stream_types"];

/// The properties in `log.toml`.
pub(super) struct LogToml {
    pub(super) name: LogName,
    pub(super) partitions: u32,
    pub(super) stream_types: Vec<String>,
}

impl LogToml {
    /// Reads the file; `None`, with problems, when it can't be used.
    pub(super) fn parse(text: Option<&String>, problems: &mut Problems) -> Option<Self> {
        let file = LogFolder::LOG;
        let Some(text) = text else {
            if !problems.has(file) {
                problems.add(file, "the file is missing: make it, with name = \"…\" and stream_types = [\"…\"]");
            }
            return None;
        };
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map(|before| before.matches('\n').count() + 1);
                let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
                problems.add(file, format!("{place}{}", error.message().replace('\n', ", ")));
                return None;
            }
        };
        for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.add(file, format!("there is no key {key}; known are {}", KEYS.join(", ")));
        }
        let name = kept(name(table.get("name")), problems);
        let partitions = kept(partitions(table.get("partitions")), problems);
        let stream_types = kept(stream_types(table.get("stream_types")), problems);
        Some(Self { name: name?, partitions: partitions?, stream_types: stream_types? })
    }
}

/// What was read; otherwise adds the problem.
fn kept<T>(read: Result<T, String>, problems: &mut Problems) -> Option<T> {
    read.map_err(|problem| problems.add(LogFolder::LOG, problem)).ok()
}

fn name(value: Option<&Value>) -> Result<LogName, String> {
    let name = value.ok_or("name is missing: the log's name, such as name = \"orders\"")?;
    let name = name.as_str().ok_or("name is not a text: write name = \"orders\"")?;
    let name: LogName = name.parse().map_err(|error| format!("name: {error}"))?;
    match name.reserved() {
        Some(why) => Err(format!("name: a log can't be named {name}: {why}")),
        None => Ok(name),
    }
}

fn partitions(value: Option<&Value>) -> Result<u32, String> {
    let Some(value) = value else { return Ok(PARTITIONS) };
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| format!("partitions is {value}; it must be a whole number from 1 to 1000"))
}

fn stream_types(value: Option<&Value>) -> Result<Vec<String>, String> {
    let value = value.ok_or("stream_types is missing: the types of the log's streams, such as [\"order\"]")?;
    let types = value.as_array().filter(|types| !types.is_empty());
    let types = types.ok_or("stream_types is not a list with a type or more: write stream_types = [\"order\"]")?;
    let mut known: Vec<String> = Vec::new();
    for value in types {
        let text = value.as_str().unwrap_or_default();
        if StreamId::new(text, "1").is_err() || text.contains('-') || text.len() > 100 {
            return Err(format!(
                "stream_types: {value} is not a stream type: use 1 to 100 lower-case letters, digits and underscores, a \
                 letter first"
            ));
        }
        if known.iter().any(|known| known == text) {
            return Err(format!("stream_types has {value} twice: delete one"));
        }
        known.push(text.to_owned());
    }
    Ok(known)
}
