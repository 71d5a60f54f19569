//! Names and texts as they stand in SQL.

/// A name, in quotes.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text, in quotes. Every session of ours has `standard_conforming_strings` on, as Postgres has by itself.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
