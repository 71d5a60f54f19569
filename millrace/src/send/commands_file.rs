//! A file of commands.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

use super::{Recipient, outgoing};
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

/// Reads all commands of a file, or of standard input when its path is `-`. Blank lines are skipped.
///
/// # Errors
/// When the file can't be read, or a line is not a command; the error names the line. Nothing was sent then, because all
/// lines are read before the first is sent.
pub(super) fn read_file(to: &Recipient<'_>, path: &Path) -> anyhow::Result<Vec<OutgoingCommand>> {
    let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|e| Usage(format!("{} can't be read: {e}", path.display())))?;
        Box::new(BufReader::new(file))
    };
    read_lines(to, reader, path)
}

fn read_lines(to: &Recipient<'_>, reader: impl BufRead, path: &Path) -> anyhow::Result<Vec<OutgoingCommand>> {
    let mut commands = Vec::new();
    for (index, line) in reader.lines().enumerate() {
        let refused =
            |problem: String| Usage(format!("{}, line {}: {problem}; nothing was sent", path.display(), index + 1));
        let line = line.map_err(|error| refused(format!("it can't be read: {error}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let Line { id, r#type, data } = serde_json::from_str(&line).map_err(|error| refused(misformed(&error)))?;
        commands.push(outgoing(to, id, &r#type, &data).map_err(refused)?);
    }
    Ok(commands)
}

/// serde_json counts lines too, and of one line there is only the first.
fn misformed(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let problem = text.split(" at line ").next().unwrap_or(&text);
    let form = r#"a line has the form {"id": "open-1", "type": "OpenTicket", "data": {…}}"#;
    format!("column {}: {problem}: {form}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_skipped_and_counted() {
        let line = r#"{"id": "c", "type": "CloseAccount", "data": {"account_id": "a"}}"#;
        let to = Recipient { name: "books", log: &crate::ledger() };
        let read = |text: String| read_lines(&to, text.as_bytes(), Path::new("FILE"));
        assert_eq!(read(format!("{line}\n\n  \n{line}\n\n")).unwrap().len(), 2);
        let refused = read(format!("{line}\n\n{{}}\n")).unwrap_err().to_string();
        assert!(refused.starts_with("FILE, line 3:"), "{refused}");
    }

    #[test]
    fn a_line_that_is_no_command_is_named_with_its_problem() {
        let to = Recipient { name: "books", log: &crate::ledger() };
        for (line, expected) in [
            ("{}", "FILE, line 2: column 2: missing field `id`: a line has the form {\"id\""),
            ("{\"id\": 5", "FILE, line 2: column 8: invalid type: integer `5`"),
            (
                r#"{"id": "c", "type": "CloseAccount", "data": {"account_id": 5}}"#,
                "FILE, line 2: CloseAccount: account_id: expected a text, found an integer;",
            ),
            (
                r#"{"id": "c", "type": "Close", "data": {}}"#,
                "FILE, line 2: log books has no command \"Close\"; it has: CloseAccount,",
            ),
        ] {
            let refused = read_lines(&to, format!("\n{line}\n").as_bytes(), Path::new("FILE")).unwrap_err().to_string();
            assert!(refused.starts_with(expected) && refused.ends_with("; nothing was sent"), "{refused}");
        }
        let refused = read_lines(&to, &b"\n\xff\n"[..], Path::new("FILE")).unwrap_err().to_string();
        assert!(refused.starts_with("FILE, line 2: it can't be read"), "{refused}");
    }
}
