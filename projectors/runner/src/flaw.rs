//! An event that can't be applied.

/// An event that can't be applied, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) offset: i64,
    pub(crate) correlation_id: Option<String>,
    pub(crate) reason: String,
}
