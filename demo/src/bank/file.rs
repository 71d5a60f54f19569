use std::fmt;
use std::io::{self, Read};

use flate2::read::GzDecoder;

use super::field::Field;
use super::parse_error::ParseError;
use super::transaction::{COLUMNS, Transaction};

static TRANS_ASC_GZ: &[u8] = include_bytes!("data/trans.asc.gz");

/// Why the file could not be read. Trying again does not help: the binary was built from a damaged file.
#[derive(Debug)]
pub enum ReadError {
    /// It does not unpack to text.
    Unpack(io::Error),
    /// It unpacks, but a line is wrong.
    Parse(ParseError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpack(error) => write!(f, "the bank's transactions inside this binary do not unpack: {error}"),
            Self::Parse(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// The embedded transactions, in the file's order.
///
/// # Errors
/// When the embedded file is damaged.
pub fn read() -> Result<Vec<Transaction>, ReadError> {
    let mut text = String::new();
    GzDecoder::new(TRANS_ASC_GZ).read_to_string(&mut text).map_err(ReadError::Unpack)?;
    parse(&text).map_err(ReadError::Parse)
}

/// The transactions of a file's text: a header line, then a line each.
pub fn parse(text: &str) -> Result<Vec<Transaction>, ParseError> {
    let mut lines = text.lines();
    check_header(lines.next().unwrap_or_default())?;
    lines.zip(2..).map(|(text, line)| Transaction::parse(line, text)).collect()
}

fn check_header(raw: &str) -> Result<(), ParseError> {
    let header = COLUMNS.map(|name| format!("\"{name}\"")).join(";");
    if raw == header {
        return Ok(());
    }
    Err(Field { line: 1, name: "line", raw }.error("the header line with the ten columns' names"))
}
