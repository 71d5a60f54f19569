//! The statements of a projector: the author's text, with `batch` in front.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use millrace_projector_runner::{ApplyError, Event};
use millrace_schemas::{FolderProblem, RecordSchema};

use crate::batch::{Batch, definition};
use crate::columns::{self, Column};
use crate::folder::{ProjectorFolder, Reads};
use crate::rounds::rounds;

/// The statement for the events of one type, or of all.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) file: String,
    /// What the author wrote.
    pub(crate) text: String,
    /// The schema by which the events of one type are read; `None` for events of any type.
    pub(crate) reader: Option<&'static RecordSchema>,
    columns: Vec<Column>,
    sql: Merged,
}

/// All statements of a projector.
#[derive(Debug)]
pub(crate) struct Statements(pub(crate) Vec<Statement>);

/// A text that something was inserted into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged {
    pub(crate) text: String,
    /// Where, in characters.
    at: usize,
    /// How many characters.
    length: usize,
}

impl Statements {
    /// The statements of a folder, for events of these schemas, by event type.
    ///
    /// # Errors
    /// All problems that were found without Postgres.
    pub(crate) fn new(
        folder: &ProjectorFolder,
        schemas: &BTreeMap<String, &'static RecordSchema>,
    ) -> Result<Self, Vec<FolderProblem>> {
        let mut problems = folder.reads.unknown(&folder.log, schemas);
        let mut statements = Vec::new();
        let types = match &folder.reads {
            Reads::All => {
                let file = ProjectorFolder::ANY_EVENT;
                let statement = Statement::new(None, columns::of_any_event(), file, folder.text(file));
                return match statement {
                    Ok(statement) => Ok(Self(vec![statement])),
                    Err(problem) => Err(vec![FolderProblem { file: file.to_owned(), problem }]),
                };
            }
            Reads::Types(types) => types,
        };
        for event in types {
            let file = ProjectorFolder::file_of(event);
            match schemas.get(event).map(|reader| Statement::of_type(reader, &file, folder.text(&file))) {
                Some(Ok(statement)) => statements.push(statement),
                Some(Err(problem)) => problems.push(FolderProblem { file, problem }),
                None => {} // said above
            }
        }
        if problems.is_empty() { Ok(Self(statements)) } else { Err(problems) }
    }

    /// The file of the event's statement.
    pub(crate) fn file_of(&self, event: &Event) -> Option<&str> {
        self.0.iter().find(|known| known.applies(event)).map(|known| &*known.file)
    }

    /// Applies events, whose effect is as if they were applied one by one in the order of each partition.
    pub(crate) async fn apply(&self, transaction: &Transaction<'_>, events: &[Event]) -> Result<(), ApplyError> {
        let statement_of = |event: &Event| self.0.iter().position(|known| known.applies(event));
        for round in rounds(events.iter().map(|event| (event.partition, statement_of(event)))) {
            let Some(statement) = self.0.get(round.statement) else { continue };
            let of_round = round.events.iter().filter_map(|index| events.get(*index));
            let batch = Batch::from_events(&statement.columns, statement.reader, of_round)?;
            let prepared = transaction.prepare_cached(&statement.sql.text).await?;
            transaction.execute(&prepared, &batch.parameters()).await?;
        }
        Ok(())
    }
}

impl Statement {
    fn of_type(reader: &'static RecordSchema, file: &str, text: &str) -> Result<Self, String> {
        let columns = columns::of_fields(reader);
        if let Some(name) = columns::taken_name(&columns) {
            return Err(format!("the event has a field {name}, and every batch has a column of that name"));
        }
        Self::new(Some(reader), columns, file, text)
    }

    fn new(
        reader: Option<&'static RecordSchema>,
        columns: Vec<Column>,
        file: &str,
        text: &str,
    ) -> Result<Self, String> {
        let sql =
            merge(text, &definition(&columns, true)).ok_or("the file has no statement: write one, or delete it")?;
        Ok(Self { file: file.to_owned(), text: text.to_owned(), reader, columns, sql })
    }

    /// Whether the event is one of the statement's.
    pub(crate) fn applies(&self, event: &Event) -> bool {
        self.reader.is_none_or(|reader| reader.name == event.event_type())
    }

    /// A batch without events.
    pub(crate) fn batch_of_nothing(&self) -> Batch {
        Batch::new(&self.columns)
    }

    /// The statement as it is run.
    pub(crate) fn sql(&self) -> &str {
        &self.sql.text
    }

    /// The statement with a `batch` of nulls instead of parameters, to be looked at.
    pub(crate) fn without_parameters(&self) -> String {
        merge(&self.text, &definition(&self.columns, false)).map(|merged| merged.text).unwrap_or_default()
    }

    /// Where in the author's text the character `position` (from 0) of the statement stands.
    pub(crate) fn own_position(&self, position: usize) -> usize {
        self.sql.own_position(position)
    }

    /// The names and types of `batch`, for people.
    pub(crate) fn columns_in_words(&self) -> String {
        let all = self.columns.iter().map(|column| (column.name.as_str(), column.kind)).chain(columns::OF_EVERY_EVENT);
        all.map(|(name, kind)| format!("{name} {}", kind.sql())).collect::<Vec<_>>().join(", ")
    }
}

impl Merged {
    fn own_position(&self, position: usize) -> usize {
        if position < self.at { position } else { position.saturating_sub(self.length).max(self.at) }
    }
}

/// Puts a common table expression in front of a statement: as its first, where it has some of its own. `None` when the
/// text has no statement.
fn merge(text: &str, expression: &str) -> Option<Merged> {
    let start = after_blanks(text, 0);
    if start == text.len() {
        return None;
    }
    let mut at = start;
    let inserted = match after_word(text, start, "with") {
        Some(after_with) => {
            let recursive = after_word(text, after_blanks(text, after_with), "recursive");
            at = recursive.unwrap_or(after_with);
            format!(" {expression},")
        }
        None => format!("WITH {expression} "),
    };
    let (before, after) = (text.get(..at)?, text.get(at..)?);
    Some(Merged {
        text: format!("{before}{inserted}{after}"),
        at: before.chars().count(),
        length: inserted.chars().count(),
    })
}

/// The place after blanks and comments.
fn after_blanks(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.starts_with("--") {
            at += trimmed.find('\n').unwrap_or(trimmed.len());
        } else if trimmed.starts_with("/*") {
            at += length_of_comment(trimmed);
        } else {
            return at;
        }
    }
}

/// The length of a comment between `/*` and `*/`, which may have others inside.
fn length_of_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The place after this word, which is in lower case, if it stands there.
fn after_word(text: &str, at: usize, word: &str) -> Option<usize> {
    let end = at + word.len();
    let is_word = text.get(at..end)?.eq_ignore_ascii_case(word);
    let goes_on = text.get(end..)?.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    (is_word && !goes_on).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_is_put_in_front_of_a_statement_and_of_its_own_table_expressions() {
        for (text, expected) in [
            ("INSERT INTO t SELECT 1", "WITH B INSERT INTO t SELECT 1"),
            ("-- with\n /* a /* b */ with */ SELECT 1", "-- with\n /* a /* b */ with */ WITH B SELECT 1"),
            ("with x AS (SELECT 1) SELECT 2", "with B, x AS (SELECT 1) SELECT 2"),
            ("WITH--\nRecursive x AS (SELECT 1) SELECT 2", "WITH--\nRecursive B, x AS (SELECT 1) SELECT 2"),
            ("WITH recursive_one AS (SELECT 1) SELECT 2", "WITH B, recursive_one AS (SELECT 1) SELECT 2"),
            ("WITHOUT", "WITH B WITHOUT"),
        ] {
            assert_eq!(merge(text, "B").unwrap().text, expected);
        }
        for nothing in ["", " \n-- nothing", "/* nothing"] {
            assert_eq!(merge(nothing, "B"), None);
        }
    }

    #[test]
    fn a_place_in_the_statement_is_a_place_in_the_authors_text() {
        let merged = merge("-- é\nSELECT x", "B").unwrap();
        let place = merged.text.chars().position(|c| c == 'x').unwrap();
        assert_eq!(merged.own_position(place), 12);
        assert_eq!(merged.own_position(2), 2);
        assert_eq!(merged.own_position(7), 5, "inside of what was inserted");
    }
}
