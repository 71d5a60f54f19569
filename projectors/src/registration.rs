//! The list of all projectors. A new one needs a line here and changes no other file.

use millrace_projector_runner::Projector;

use crate::{reporting, search};

/// No projector has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no projector {name:?}; there are {known}")]
pub struct UnknownProjector {
    /// The first 100 characters of the name that the caller asked for.
    pub name: String,
    /// The names of all projectors, separated by commas.
    pub known: String,
}

/// All projectors.
pub fn all() -> Vec<Box<dyn Projector>> {
    vec![Box::new(reporting::Reporting), Box::new(search::Search)]
}

/// The names of all projectors, which are also the names of their Postgres schemas.
pub fn names() -> Vec<&'static str> {
    all().iter().map(|projector| projector.name()).collect()
}

/// The projector with that name.
///
/// # Errors
/// When no projector has it.
pub fn find(name: &str) -> Result<Box<dyn Projector>, UnknownProjector> {
    let found = all().into_iter().find(|projector| projector.name() == name);
    found.ok_or_else(|| UnknownProjector { name: name.chars().take(100).collect(), known: names().join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projectors_name_is_its_schema_as_it_stands_and_no_two_share_one() {
        let mut names = names();
        for name in &names {
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        }
        names.dedup();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn an_unknown_projector_is_told_which_there_are() {
        let error = find("reports").err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("there is no projector \"reports\"; there are reporting, search"));
    }
}
