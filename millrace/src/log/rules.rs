//! The declared rules of a folder.

use millrace_schemas::{FolderProblem, LogFolder};
use millrace_writer::DeclaredDomain;
use millrace_writer::declared::{Problem, RulesError};

/// Where the cases are.
const CASES: &str = "cases/";

/// Checks the folder's rules against its schemas, and runs its cases.
///
/// # Errors
/// All problems that were found.
pub fn check_folder(folder: &LogFolder) -> Result<(), Vec<FolderProblem>> {
    let problems = check_rules(folder);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The problems of `domain.toml` and of the cases.
pub(super) fn check_rules(folder: &LogFolder) -> Vec<FolderProblem> {
    let cases: Vec<(&String, &String)> = folder.files.iter().filter(|(path, _)| path.starts_with(CASES)).collect();
    let Some(rules) = folder.domain() else {
        let lone = |(file, _): &(&String, _)| FolderProblem {
            file: (*file).clone(),
            problem: "a case needs rules, and the folder has no domain.toml".to_owned(),
        };
        return cases.iter().map(lone).collect();
    };
    // the domain takes the definition with it
    let definition = match LogFolder::from_files(folder.files.clone()) {
        Ok(copy) => copy.definition,
        Err(problems) => return problems,
    };
    match DeclaredDomain::parse(definition, &folder.definition.stream_types, LogFolder::DOMAIN, rules) {
        Ok(domain) => {
            let failed = cases.iter().filter_map(|(file, text)| domain.check_cases(file, text).err());
            failed.flat_map(problems).collect()
        }
        Err(error) => problems(error).collect(),
    }
}

fn problems(error: RulesError) -> impl Iterator<Item = FolderProblem> {
    error.problems.into_iter().map(|Problem { file, line, field, problem }| {
        let joint = if field.is_empty() { "" } else { ": " };
        FolderProblem { file, problem: format!("line {line}{joint}{field}: {problem}") }
    })
}
