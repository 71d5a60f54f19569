//! The last lines of a log, for an error message.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// In bytes from the log's end. We never read more, however large the log is.
const WINDOW: u64 = 64 * 1024;

/// How many lines the error about a failed process or program quotes.
pub(crate) const QUOTED_LINES: usize = 20;

/// The last `lines` lines behind byte `from` that are not blank. For a log that can't be read, a sentence that says so.
pub(crate) fn read(log: &Path, from: u64, lines: usize) -> String {
    match read_window(log, from) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), lines),
        Err(error) => format!("(the log {} cannot be read: {error})", log.display()),
    }
}

fn read_window(log: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(WINDOW))))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The last `count` lines that are not blank; for none, a sentence that says so.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return "(it wrote nothing)".into();
    }
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        assert_eq!(last_lines("a\n\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("", 2), "(it wrote nothing)");
    }
}
