use std::fmt;

/// A line that is not as the file's description says.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1, the header's line.
    pub line: usize,
    /// The column's name, or `line` when it is about the line as a whole.
    pub field: &'static str,
    /// What the file has.
    pub found: String,
    /// What belongs there.
    pub expected: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, field, found, expected } = self;
        write!(f, "trans.asc, line {line}, {field}: found {found:?}, expected {expected}")
    }
}

impl std::error::Error for ParseError {}
