//! The declared rules of a folder.

use millrace_schemas::{FolderProblem, LogFolder};
use millrace_writer::DeclaredDomain;
use millrace_writer::declared::{Problem, RulesError};

/// Where the cases are.
const CASES: &str = "cases/";
/// Where the commands are.
const COMMANDS: &str = "commands/";

/// Checks the folder's rules against its schemas, and runs its cases.
///
/// # Errors
/// All problems that were found.
pub fn check_folder(folder: &LogFolder) -> Result<(), Vec<FolderProblem>> {
    check_rules(folder).map(|_| ())
}

/// Rules with which nothing is wrong.
#[derive(Debug, Default, PartialEq)]
pub(super) struct SoundRules {
    /// Rules that no generated command got past.
    pub(super) notes: Vec<FolderProblem>,
    /// Cases that came out as they say.
    pub(super) cases: usize,
}

/// Checks `domain.toml` and the cases. Takes up to a few seconds, and is not part of what a writer checks of a definition
/// that was applied to its log.
///
/// # Errors
/// All problems that were found.
pub(super) fn check_rules(folder: &LogFolder) -> Result<SoundRules, Vec<FolderProblem>> {
    let cases: Vec<(&String, &String)> = folder.files.iter().filter(|(path, _)| path.starts_with(CASES)).collect();
    let Some(rules) = folder.domain() else {
        let undecided = folder.files.keys().find(|path| path.starts_with(COMMANDS)).map(|command| FolderProblem {
            file: LogFolder::DOMAIN.to_owned(),
            problem: format!(
                "the file is missing, so nothing decides {command}: put it back; or, for a log without rules, which takes \
                 Append, delete commands/"
            ),
        });
        let lone = |(file, _): &(&String, _)| FolderProblem {
            file: (*file).clone(),
            problem: "a case needs rules, and the folder has no domain.toml".to_owned(),
        };
        return or_problems(SoundRules::default(), undecided.into_iter().chain(cases.iter().map(lone)).collect());
    };
    let sound = DeclaredDomain::load(folder.definition.clone(), LogFolder::DOMAIN, rules)
        .and_then(|domain| domain.check_generated(LogFolder::DOMAIN, rules).map(|untried| (domain, untried)));
    let (domain, untried) = sound.map_err(problems)?;
    let mut sound = SoundRules { notes: untried.into_iter().map(of_folder).collect(), cases: 0 };
    let mut failed = Vec::new();
    for (file, text) in cases {
        match domain.check_cases(file, text) {
            Ok(count) => sound.cases += count,
            Err(error) => failed.extend(problems(error)),
        }
    }
    or_problems(sound, failed)
}

fn or_problems<T>(sound: T, problems: Vec<FolderProblem>) -> Result<T, Vec<FolderProblem>> {
    if problems.is_empty() { Ok(sound) } else { Err(problems) }
}

fn problems(error: RulesError) -> Vec<FolderProblem> {
    error.problems.into_iter().map(of_folder).collect()
}

fn of_folder(Problem { file, line, field, problem }: Problem) -> FolderProblem {
    let joint = if field.is_empty() { "" } else { ": " };
    FolderProblem { file, problem: format!("line {line}{joint}{field}: {problem}") }
}

#[cfg(test)]
mod tests {
    use millrace_domains::bundled;

    use super::*;

    #[test]
    fn commands_without_rules_are_refused() {
        let mut files = bundled::files("orders").expect("it comes along");
        files.retain(|path, _| !path.starts_with(CASES) && path != LogFolder::DOMAIN);
        let problems = check_rules(&LogFolder::from_files(files.clone()).unwrap()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].file, "domain.toml");
        assert!(
            problems[0].problem.contains("nothing decides commands/CancelOrder.avsc: put it back"),
            "{problems:#?}"
        );
        files.retain(|path, _| !path.starts_with(COMMANDS));
        assert_eq!(check_rules(&LogFolder::from_files(files).unwrap()), Ok(SoundRules::default()));
    }
}
