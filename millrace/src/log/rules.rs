//! The declared rules of a folder.

use millrace_schemas::{FolderProblem, LogFolder};

/// Checks `domain.toml` against the schemas, and runs the cases.
pub(super) fn check_rules(_folder: &LogFolder) -> Vec<FolderProblem> {
    vec![]
}
