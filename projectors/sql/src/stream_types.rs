//! The streams of a log, as far as generated events need to know them.

use std::collections::BTreeMap;

/// The types of a log's streams, and which events belong to which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamTypes {
    /// All of them.
    pub all: Vec<String>,
    /// By event type, the types of the streams that the log's rules put such an event on. An event type that is missing
    /// here may be on any stream.
    pub of_events: BTreeMap<String, Vec<String>>,
}

impl StreamTypes {
    /// Whether a field of this name has the key of a stream: `member_id`, or `new_member_id`.
    pub(crate) fn are_named_by(&self, field: &str) -> bool {
        let Some(name) = field.strip_suffix("_id") else { return false };
        let names = |known: &String| {
            name.strip_suffix(known.as_str()).is_some_and(|before| before.is_empty() || before.ends_with('_'))
        };
        self.all.iter().any(names)
    }
}
