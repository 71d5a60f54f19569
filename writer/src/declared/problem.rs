//! What is wrong with a file of rules or cases, and where.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as its reader named it, such as `orders/domain.toml`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The field, such as `commands.PlaceOrder.reject[0].when`; empty for the file as a whole.
    pub field: String,
    /// A sentence that says what is wrong there, which names there are, and what to do.
    pub problem: String,
}

/// Everything that is wrong with a file of rules or of cases, as far as it can be said at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RulesError {
    /// At least one, in the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, field, problem } = self;
        let joint = if field.is_empty() { "" } else { ": " };
        write!(f, "{file}:{line}{joint}{field}: {problem}")
    }
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// A place in a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct At {
    pub line: usize,
    pub field: String,
}

impl At {
    /// A place inside this one, on the same line.
    pub fn inside(&self, field: &str) -> Self {
        let joint = if self.field.is_empty() || field.starts_with('[') { "" } else { "." };
        Self { line: self.line, field: format!("{}{joint}{field}", self.field) }
    }
}

/// Collects the problems of one file.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    found: Vec<Problem>,
}

impl Problems {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    pub fn add(&mut self, at: &At, problem: impl Into<String>) {
        let At { line, field } = at.clone();
        self.found.push(Problem { file: self.file.clone(), line, field, problem: problem.into() });
    }

    /// A problem that is not noted: something worth knowing about the file.
    pub fn note(&self, At { line, field }: At, note: String) -> Problem {
        Problem { file: self.file.clone(), line, field, problem: note }
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The result, unless something was wrong.
    ///
    /// # Errors
    /// With every problem, in the order of the file.
    pub fn or<T>(mut self, result: T) -> Result<T, RulesError> {
        if self.found.is_empty() {
            return Ok(result);
        }
        self.found.sort_by_key(|problem| problem.line);
        Err(RulesError { problems: self.found })
    }
}
