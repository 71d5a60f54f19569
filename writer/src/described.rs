//! From the files that a log keeps to its domain.

use std::collections::BTreeMap;

use millrace_schemas::{LogDefinition, LogFolder, in_one_line};

use crate::{DeclaredDomain, Domain, NoRules};

/// The domain of a log that files describe.
#[derive(Debug)]
pub enum Described {
    /// The rules of its `domain.toml`.
    Declared(DeclaredDomain),
    /// Without rules: its events come finished, by the command `Append`.
    Append(NoRules),
}

/// The files that were applied to a log make no sense to this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DefinitionError(String);

impl Described {
    /// The domain of the files that were applied to a log. Checks form, names and types, not the cases, and not what
    /// generated data would show: that was checked when the files were applied.
    ///
    /// # Errors
    /// All problems that were found; most likely a newer version of the program has applied the files.
    pub fn from_files(files: BTreeMap<String, String>) -> Result<Self, DefinitionError> {
        let folder = LogFolder::from_files(files).map_err(|problems| DefinitionError(in_one_line(&problems)))?;
        let LogFolder { definition, files, .. } = folder;
        match files.get(LogFolder::DOMAIN) {
            None => Ok(Self::Append(NoRules { definition })),
            Some(rules) => {
                let domain = DeclaredDomain::load(definition, LogFolder::DOMAIN, rules);
                domain.map(Self::Declared).map_err(|error| DefinitionError(in_one_line(&error.problems)))
            }
        }
    }

    /// The schemas of the log's commands and events.
    pub fn definition(&self) -> &LogDefinition {
        match self {
            Self::Declared(domain) => domain.definition(),
            Self::Append(domain) => domain.definition(),
        }
    }
}

/// A domain that takes the place of an earlier one of its log.
pub(crate) trait Successor: Domain {
    /// Whether it makes the same states of the same events as the earlier one, so that states in memory stay right.
    fn folds_as(&self, before: &Self) -> bool;
}

impl Successor for NoRules {
    /// There is only one state.
    fn folds_as(&self, _: &Self) -> bool {
        true
    }
}

impl Successor for DeclaredDomain {
    fn folds_as(&self, before: &Self) -> bool {
        self.folds() == before.folds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "name = \"orders\"\nstream_types = [\"order\"]\n";
    const RULES: &str = r#"
        state.order.Placed = { place = "event.id" }
        [commands.Place]
        stream = "'order-' + command.id"
        emit = [{ event = "Placed", copy = "command" }]
    "#;

    fn files(more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let record = |name: &str| {
            format!(r#"{{"type": "record", "name": "{name}", "fields": [{{"name": "id", "type": "string"}}]}}"#)
        };
        let files = [
            ("log.toml", LOG.to_owned()),
            ("domain.toml", RULES.to_owned()),
            ("commands/Place.avsc", record("Place")),
            ("events/Placed.avsc", record("Placed")),
            ("events/Noted.avsc", record("Noted")),
        ];
        let more = more.iter().map(|(path, text)| (*path, (*text).to_owned()));
        files.into_iter().chain(more).map(|(path, text)| (path.to_owned(), text)).collect()
    }

    fn declared(more: &[(&str, &str)]) -> DeclaredDomain {
        match Described::from_files(files(more)) {
            Ok(Described::Declared(domain)) => domain,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_newer_program_has_applied_is_refused_with_its_place() {
        for (path, text) in [("log.toml", LOG), ("domain.toml", RULES)] {
            let newer = format!("retention = '7d'\n{text}");
            let refused = Described::from_files(files(&[(path, &newer)])).unwrap_err().to_string();
            assert!(refused.starts_with(path) && refused.contains("retention"), "{refused}");
        }
    }

    #[test]
    fn states_stay_right_as_long_as_the_same_events_are_folded_in_the_same_way() {
        let before = declared(&[]);
        let optional = r#"{"type": "record", "name": "Placed", "fields": [{"name": "id", "type": "string"},
            {"name": "note", "type": ["null", "string"], "default": null}]}"#;
        let noted = r#"{"type": "record", "name": "Noted", "fields": []}"#;
        let guarded = format!(
            "# a comment\n{RULES}\nreject = [{{ when = 'has(state.place)', code = 'is_there', message = 'It is.' }}]"
        );
        let other_fold = RULES.replace("\"event.id\"", "\"event.id + '!'\"");
        let another_fold =
            RULES.replace("[commands.Place]", "state.order.Noted = { note = \"event.id\" }\n[commands.Place]");
        for (path, text, stays) in [
            ("README.md", "hello", true),
            ("domain.toml", &guarded, true),
            ("events/Noted.avsc", noted, true),
            ("events/Placed.avsc", optional, false),
            ("domain.toml", &other_fold, false),
            ("domain.toml", &another_fold, false),
        ] {
            assert_eq!(declared(&[(path, text)]).folds_as(&before), stays, "{path}: {text}");
        }
    }
}
