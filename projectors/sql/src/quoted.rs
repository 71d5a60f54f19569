//! Names and texts as they stand in SQL.

pub(crate) use millrace_projector_runner::identifier;

/// A text, in quotes. Every session of ours has `standard_conforming_strings` on, as Postgres has by itself.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
