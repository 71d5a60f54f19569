//! The folder that describes a projector: `projector.toml`, `tables.sql`, and `on_<EventType>.sql` for each event type, or
//! `on_any_event.sql` for all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use millrace_projector_runner::Generation;
use millrace_schemas::{FolderProblem, LogName, RecordSchema};
use toml::{Table, Value};

/// Largest file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Names that are words of the command line or of Postgres.
const RESERVED: [&str; 10] =
    ["apply", "check", "run", "drop", "list", "show", "help", "public", "information_schema", "user"];
const KNOWN: &str = "a projector's folder has projector.toml, tables.sql, on_<EventType>.sql (or on_any_event.sql) and \
                     README.md";

/// A projector described by files. They may come from a folder, or from the database that keeps them.
#[derive(Debug, Clone)]
pub struct ProjectorFolder {
    /// The projector's name, which is also its Postgres schema.
    pub name: String,
    /// The log that it reads.
    pub log: LogName,
    /// The events that it reads.
    pub reads: Reads,
    /// Name to text.
    pub files: BTreeMap<String, String>,
}

/// The events that a projector reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// All, also of types that the log gets later. They have one statement.
    All,
    /// Those of these types, each of which has a statement.
    Types(Vec<String>),
}

impl Reads {
    /// Whether events of this type are read one type at a time.
    pub(crate) fn names(&self, event: &str) -> bool {
        matches!(self, Self::Types(types) if types.iter().any(|known| known == event))
    }

    /// The event types that the log does not have; `schemas` are those of its events.
    pub fn unknown(&self, log: &LogName, schemas: &BTreeMap<String, &'static RecordSchema>) -> Vec<FolderProblem> {
        let Self::Types(types) = self else { return vec![] };
        let known: Vec<&str> = schemas.keys().map(String::as_str).collect();
        let unknown = types.iter().filter(|event| !schemas.contains_key(*event));
        let has =
            |event: &String| format!("[reads] the log {log} has no event type {event}; it has {}", known.join(", "));
        unknown.map(|event| problem(ProjectorFolder::PROJECTOR, has(event))).collect()
    }

    /// The file of each statement.
    fn files(&self) -> Vec<String> {
        match self {
            Self::All => vec![ProjectorFolder::ANY_EVENT.to_owned()],
            Self::Types(types) => types.iter().map(|event| ProjectorFolder::file_of(event)).collect(),
        }
    }
}

impl ProjectorFolder {
    /// The file with the projector's name and what it reads.
    pub const PROJECTOR: &str = "projector.toml";
    /// The file that creates the read model's tables.
    pub const TABLES: &str = "tables.sql";
    /// The file with the statement of a projector that reads all events.
    pub const ANY_EVENT: &str = "on_any_event.sql";

    /// Reads and checks the folder `dir`. Files whose names begin with a dot, and README.md, are none of it.
    ///
    /// # Errors
    /// All problems that were found.
    pub fn read(dir: &Path) -> Result<Self, Vec<FolderProblem>> {
        Self::from_files(files_in(dir)?)
    }

    /// What `projector.toml` in the folder `dir` says it reads, whatever else is wrong with the folder; `None` when it
    /// can't be read.
    pub fn reads_in(dir: &Path) -> Option<(LogName, Reads)> {
        let files = files_in(dir).ok()?;
        parse(files.get(Self::PROJECTOR)).ok().map(|(_, log, reads)| (log, reads))
    }

    /// Checks the files, and reads the description from them.
    ///
    /// # Errors
    /// All problems that were found.
    pub fn from_files(files: BTreeMap<String, String>) -> Result<Self, Vec<FolderProblem>> {
        let mut problems = Vec::new();
        for (file, text) in &files {
            let known = file == Self::PROJECTOR || file == Self::TABLES || event_of(file).is_some();
            if !known {
                problems.push(problem(file, format!("a projector has no such file; rename or delete it: {KNOWN}")));
            }
            if text.contains('\0') {
                problems.push(problem(file, "the file has a U+0000 character, which Postgres can't store: remove it"));
            }
        }
        if !files.contains_key(Self::TABLES) {
            problems.push(problem(Self::TABLES, "the file is missing: make it, with the read model's CREATE TABLE"));
        }
        match parse(files.get(Self::PROJECTOR)) {
            Ok((name, log, reads)) => {
                problems.extend(unmatched(&reads, &files));
                if problems.is_empty() {
                    return Ok(Self { name, log, reads, files });
                }
            }
            Err(wrong) => problems.insert(0, problem(Self::PROJECTOR, wrong)),
        }
        Err(problems)
    }

    /// The same projector under another name.
    ///
    /// # Errors
    /// When no projector can have the name.
    pub fn with_name(self, other: &str) -> Result<Self, FolderProblem> {
        let name = name_of(other).map_err(|wrong| problem("--as", wrong))?;
        Ok(Self { name, ..self })
    }

    /// The name of an event type's file.
    pub fn file_of(event: &str) -> String {
        format!("on_{event}.sql")
    }

    /// The text of one of the files that every folder has.
    pub(crate) fn text(&self, file: &str) -> &str {
        self.files.get(file).map(String::as_str).unwrap_or_default()
    }
}

/// The event types without a statement, and the statements without an event type.
fn unmatched(reads: &Reads, files: &BTreeMap<String, String>) -> Vec<FolderProblem> {
    let read = reads.files();
    let missing = read.iter().filter(|file| !files.contains_key(*file));
    let missing =
        missing.map(|file| problem(file, "the file is missing: make it, with the statement for these events"));
    let unread = files.keys().filter_map(|file| Some((file, event_of(file)?)));
    let unread = unread.filter(|(file, _)| !read.contains(file)).map(|(file, event)| match reads {
        Reads::All => {
            problem(file, "projector.toml reads all events (\"*\"), in on_any_event.sql alone: delete the file")
        }
        Reads::Types(_) => {
            problem(file, format!("projector.toml does not read {event}: add it to [reads], or delete the file"))
        }
    });
    missing.chain(unread).collect()
}

fn problem(file: &str, problem: impl Into<String>) -> FolderProblem {
    FolderProblem { file: file.to_owned(), problem: problem.into() }
}

fn event_of(file: &str) -> Option<&str> {
    file.strip_prefix("on_")?.strip_suffix(".sql").filter(|event| !event.is_empty())
}

fn parse(text: Option<&String>) -> Result<(String, LogName, Reads), String> {
    let text = text.ok_or("the file is missing: make it, with name = \"…\" and [reads]")?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1)).unwrap_or_default();
        format!("{place}{}", error.message().replace('\n', ", "))
    })?;
    if let Some(key) = table.keys().find(|key| !["name", "reads"].contains(&key.as_str())) {
        return Err(format!("there is no key {key}; known are name and reads"));
    }
    let name = table.get("name").ok_or("name is missing: the projector's name, such as name = \"orders_by_day\"")?;
    let name = name_of(name.as_str().ok_or("name is not a text: write name = \"orders_by_day\"")?)?;
    let (log, reads) = reads(table.get("reads"))?;
    Ok((name, log, reads))
}

fn name_of(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !name.chars().all(allowed) || name.len() > 40 || name.starts_with("pg") {
        return Err(format!(
            "name: {name:?} can't be the name of a Postgres schema and of a consumer group: use 1 to 40 lower-case letters, \
             digits and underscores, a letter first, and not pg at the beginning"
        ));
    }
    if Generation::is_name_of_build(name) {
        return Err(format!("name: {name:?} ends like the schemas of rebuilds, _g and a number: choose another name"));
    }
    if RESERVED.contains(&name) {
        return Err(format!("name: a projector can't be named {name}: the word has another meaning"));
    }
    Ok(name.to_owned())
}

fn reads(value: Option<&Value>) -> Result<(LogName, Reads), String> {
    let example = "write [reads], and under it a line such as orders = [\"OrderPlaced\"]";
    let reads = value.ok_or_else(|| format!("[reads] is missing: {example}"))?;
    let reads = reads.as_table().ok_or_else(|| format!("reads is not a table of logs: {example}"))?;
    let mut logs = reads.iter();
    let (log, events) = match (logs.next(), logs.next()) {
        (Some(log), None) => log,
        (None, _) => return Err(format!("[reads] names no log: {example}")),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = reads.keys().map(String::as_str).collect();
            return Err(format!(
                "[reads] names the logs {}; a projector reads one log so far: make a projector for each",
                names.join(" and ")
            ));
        }
    };
    let log: LogName = log.parse().map_err(|error| format!("[reads] {log}: {error}"))?;
    if events.as_str() == Some("*") {
        return Ok((log, Reads::All));
    }
    let events = events.as_array().filter(|events| !events.is_empty());
    let events = events
        .ok_or_else(|| format!("[reads] {log} is neither a list of event types nor \"*\", all of them: {example}"))?;
    let mut types: Vec<String> = Vec::new();
    for event in events {
        let event = event.as_str().ok_or_else(|| format!("[reads] {log}: {event} is not a text: {example}"))?;
        if types.iter().any(|known| known == event) {
            return Err(format!("[reads] {log} has {event} twice: delete one"));
        }
        types.push(event.to_owned());
    }
    Ok((log, Reads::Types(types)))
}

/// The texts of the files. Follows no symbolic link.
fn files_in(dir: &Path) -> Result<BTreeMap<String, String>, Vec<FolderProblem>> {
    let unreadable = |error: std::io::Error| vec![problem(".", format!("the folder can't be read: {error}"))];
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "README.md" {
            continue;
        }
        let wrong = |what: String| vec![problem(&name, what)];
        let metadata = entry.metadata().map_err(|error| wrong(format!("the file can't be read: {error}")))?;
        if !metadata.is_file() {
            return Err(wrong(format!("it is not a file: {KNOWN}")));
        }
        if metadata.len() > MAX_FILE {
            return Err(wrong(format!("the file has {} bytes; the most is {MAX_FILE}: shorten it", metadata.len())));
        }
        let text =
            fs::read_to_string(entry.path()).map_err(|error| wrong(format!("the file can't be read: {error}")))?;
        files.insert(name, text);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = \"by_day\"\n[reads]\norders = [\"OrderPlaced\"]\n";

    fn files(toml: &str, more: &[&str]) -> BTreeMap<String, String> {
        let named = more.iter().map(|file| ((*file).to_owned(), String::new()));
        named.chain([(ProjectorFolder::PROJECTOR.to_owned(), toml.to_owned())]).collect()
    }

    fn refused(toml: &str, more: &[&str], expected: &str) {
        let problems = ProjectorFolder::from_files(files(toml, more)).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(shown.iter().any(|shown| shown.contains(expected)), "{shown:#?}");
    }

    #[test]
    fn a_folder_says_its_name_and_what_it_reads() {
        let folder = ProjectorFolder::from_files(files(TOML, &["tables.sql", "on_OrderPlaced.sql"])).unwrap();
        assert_eq!((folder.name.as_str(), folder.log.as_str()), ("by_day", "orders"));
        assert_eq!(folder.reads, Reads::Types(vec!["OrderPlaced".to_owned()]));
    }

    #[test]
    fn a_projector_of_all_events_has_one_statement() {
        let all = "name = \"trail\"\n[reads]\norders = \"*\"\n";
        let folder = ProjectorFolder::from_files(files(all, &["tables.sql", "on_any_event.sql"])).unwrap();
        assert_eq!(folder.reads, Reads::All);
        assert_eq!(folder.clone().with_name("orders_trail").unwrap().name, "orders_trail");
        assert!(folder.with_name("Orders").unwrap_err().to_string().starts_with("--as: name: \"Orders\" can't be"));
        refused(all, &["tables.sql"], "on_any_event.sql: the file is missing");
        let both = ["tables.sql", "on_any_event.sql", "on_OrderPaid.sql"];
        refused(all, &both, "on_OrderPaid.sql: projector.toml reads all events (\"*\"), in on_any_event.sql alone");
        refused(TOML, &["tables.sql", "on_OrderPlaced.sql", "on_any_event.sql"], "does not read any_event");
    }

    #[test]
    fn every_event_type_has_a_statement_and_every_statement_an_event_type() {
        refused(TOML, &["tables.sql"], "on_OrderPlaced.sql: the file is missing");
        let all = ["tables.sql", "on_OrderPlaced.sql", "on_OrderPaid.sql"];
        refused(TOML, &all, "on_OrderPaid.sql: projector.toml does not read OrderPaid");
        refused(TOML, &["on_OrderPlaced.sql"], "tables.sql: the file is missing");
        refused(TOML, &["tables.sql", "on_OrderPlaced.sql", "more.sql"], "more.sql: a projector has no such file");
    }

    #[test]
    fn an_event_type_that_the_log_does_not_have_is_named_with_those_that_it_has() {
        let text = r#"{"type": "record", "name": "OrderPlaced", "fields": []}"#;
        let placed = RecordSchema::parse(millrace_schemas::Topic::Events, 7, text).unwrap();
        let schemas = BTreeMap::from([("OrderPlaced".to_owned(), placed)]);
        let (log, reads) = ("orders".parse().unwrap(), Reads::Types(vec!["OrderPlace".into(), "OrderPlaced".into()]));
        let unknown: Vec<String> = reads.unknown(&log, &schemas).iter().map(ToString::to_string).collect();
        let expected = "projector.toml: [reads] the log orders has no event type OrderPlace; it has OrderPlaced";
        assert_eq!(unknown, [expected]);
        assert_eq!(Reads::All.unknown(&log, &schemas), []);
    }

    #[test]
    fn a_wrong_projector_toml_is_refused_with_what_to_write() {
        let both = ["tables.sql", "on_OrderPlaced.sql"];
        for (toml, expected) in [
            ("name = 7", "name is not a text"),
            ("name = \"By-Day\"\n[reads]\norders = [\"OrderPlaced\"]", "lower-case letters"),
            ("name = \"apply\"\n[reads]\norders = [\"OrderPlaced\"]", "another meaning"),
            ("name = \"by_g2\"\n[reads]\norders = [\"OrderPlaced\"]", "ends like the schemas of rebuilds"),
            ("name = \"by_day\"", "[reads] is missing"),
            ("name = \"by_day\"\n[reads]\norders = [\"A\", \"A\"]", "has A twice"),
            (
                "name = \"by_day\"\n[reads]\nbank = [\"A\"]\norders = [\"A\"]",
                "bank and orders; a projector reads one log",
            ),
            ("name = \"by_day\"\nlog = \"orders\"", "there is no key log"),
            ("name = ", "line 1: "),
        ] {
            refused(toml, &both, expected);
        }
    }
}
