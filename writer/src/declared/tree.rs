//! A TOML file as a tree in which every value knows its place.

use serde_json::Value as Json;
use toml_edit::{Document, Item, TableLike, Value};

use super::problem::{At, Problems};
use super::types::list;

/// Largest file of rules or cases, in bytes.
const MAX_FILE: usize = 256 * 1024;

/// Longest part of a line in a message, in characters.
const MAX_SHOWN: usize = 80;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub at: At,
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Tree>),
    /// In the order of the file.
    Table(Vec<(String, Tree)>),
    /// A date or time, as TOML writes it.
    Date(String),
}

/// Parses a file. Notes a problem when it is too large, or not TOML.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Option<Tree> {
    let start = At { line: 1, field: String::new() };
    if text.len() > MAX_FILE {
        problems.add(&start, format!("the file has {} bytes, and at most {MAX_FILE} are allowed", text.len()));
        return None;
    }
    let lines = Lines(text.match_indices('\n').map(|(place, _)| place).collect());
    match Document::parse(text) {
        Ok(document) => Some(lines.table(document.as_table(), start)),
        Err(error) => {
            let line = error.span().map_or(1, |span| lines.line(span.start));
            // the parser says "duplicate key" without the key
            let shown: String = text.lines().nth(line - 1).unwrap_or_default().trim().chars().take(MAX_SHOWN).collect();
            let problem = format!("not TOML: {}, in `{shown}`", error.message());
            problems.add(&At { line, field: String::new() }, problem);
            None
        }
    }
}

/// The places of a text's line ends.
struct Lines(Vec<usize>);

impl Lines {
    fn line(&self, place: usize) -> usize {
        1 + self.0.partition_point(|end| *end < place)
    }

    fn table(&self, table: &dyn TableLike, at: At) -> Tree {
        let entries = table.iter().map(|(name, item)| {
            let span = table.key(name).and_then(|key| key.span()).or_else(|| item.span());
            let line = span.map_or(at.line, |span| self.line(span.start));
            (name.to_owned(), self.item(item, At { line, ..at.inside(name) }))
        });
        Tree { kind: Kind::Table(entries.collect()), at }
    }

    fn item(&self, item: &Item, at: At) -> Tree {
        match item {
            Item::Table(table) => self.table(table, at),
            Item::ArrayOfTables(tables) => {
                let tables = tables.iter().enumerate().map(|(index, table)| {
                    let line = table.span().map_or(at.line, |span| self.line(span.start));
                    self.table(table, At { line, ..at.inside(&format!("[{index}]")) })
                });
                Tree { kind: Kind::List(tables.collect()), at }
            }
            Item::Value(value) => self.value(value, at),
            Item::None => Tree { kind: Kind::Table(Vec::new()), at },
        }
    }

    fn value(&self, value: &Value, at: At) -> Tree {
        let kind = match value {
            Value::String(text) => Kind::Text(text.value().clone()),
            Value::Integer(number) => Kind::Int(*number.value()),
            Value::Float(number) => Kind::Float(*number.value()),
            Value::Boolean(value) => Kind::Bool(*value.value()),
            Value::Datetime(date) => Kind::Date(date.value().to_string()),
            Value::InlineTable(table) => return self.table(table, at),
            Value::Array(items) => Kind::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let line = item.span().map_or(at.line, |span| self.line(span.start));
                        self.value(item, At { line, ..at.inside(&format!("[{index}]")) })
                    })
                    .collect(),
            ),
        };
        Tree { kind, at }
    }
}

/// A text and its place.
#[derive(Debug, Clone)]
pub(super) struct Sourced {
    pub text: String,
    pub at: At,
}

/// The keys of one table, taken out one by one, so that what is left over is unknown.
pub(super) struct Keys {
    pub at: At,
    entries: Vec<(String, Tree)>,
    asked: Vec<&'static str>,
}

impl Tree {
    /// The entries of a table. Notes a problem when it is something else.
    pub fn entries(self, problems: &mut Problems) -> Vec<(String, Self)> {
        match self.kind {
            Kind::Table(entries) => entries,
            Kind::List(_) => {
                let field = &self.at.field;
                problems.add(&self.at, format!("expected one table, [{field}] or {{name = …}}, not a list"));
                Vec::new()
            }
            _ => {
                problems.add(&self.at, "expected a table, {name = …}");
                Vec::new()
            }
        }
    }

    /// The keys of a table. Notes a problem when it is something else.
    pub fn keys(self, problems: &mut Problems) -> Keys {
        Keys { at: self.at.clone(), entries: self.entries(problems), asked: Vec::new() }
    }

    /// The items of a list. Notes a problem when it is something else.
    pub fn items(self, problems: &mut Problems) -> Vec<Self> {
        match self.kind {
            Kind::List(items) => items,
            Kind::Table(_) => {
                let field = &self.at.field;
                problems.add(
                    &self.at,
                    format!("expected a list: write [[{field}]] before each item, or [ … ] around them"),
                );
                Vec::new()
            }
            _ => {
                problems.add(&self.at, "expected a list, [ … ]");
                Vec::new()
            }
        }
    }

    /// A text. Notes a problem when it is something else.
    pub fn text(self, problems: &mut Problems) -> Option<Sourced> {
        match self.kind {
            Kind::Text(text) => Some(Sourced { text, at: self.at }),
            _ => {
                problems.add(&self.at, "expected a text: put it into quotation marks, also where it is an expression");
                None
            }
        }
    }

    /// The value as JSON.
    pub fn json(&self) -> Json {
        match &self.kind {
            Kind::Text(text) | Kind::Date(text) => Json::String(text.clone()),
            Kind::Int(number) => (*number).into(),
            Kind::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Kind::Bool(value) => Json::Bool(*value),
            Kind::List(items) => Json::Array(items.iter().map(Self::json).collect()),
            Kind::Table(entries) => {
                Json::Object(entries.iter().map(|(name, value)| (name.clone(), value.json())).collect())
            }
        }
    }
}

impl Keys {
    /// Takes the value of a key out.
    pub fn take(&mut self, name: &'static str) -> Option<Tree> {
        self.asked.push(name);
        let place = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(place).1)
    }

    /// Takes a text out.
    pub fn text(&mut self, name: &'static str, problems: &mut Problems) -> Option<Sourced> {
        self.take(name).and_then(|tree| tree.text(problems))
    }

    /// Takes a text out that must be there.
    pub fn needed(&mut self, name: &'static str, problems: &mut Problems) -> Option<Sourced> {
        let found = self.take(name);
        if found.is_none() {
            problems.add(&self.at, format!("the key `{name}` is missing"));
        }
        found.and_then(|tree| tree.text(problems))
    }

    /// Takes a list out, empty when it is not there.
    pub fn list(&mut self, name: &'static str, problems: &mut Problems) -> Vec<Tree> {
        self.take(name).map_or_else(Vec::new, |tree| tree.items(problems))
    }

    /// Takes a table of texts out, empty when it is not there.
    pub fn texts(&mut self, name: &'static str, problems: &mut Problems) -> Vec<(String, Sourced)> {
        self.take(name).map_or_else(Vec::new, |tree| texts(tree, problems))
    }

    /// Notes a problem for every key that nobody has asked for.
    pub fn end(self, problems: &mut Problems) {
        for (name, tree) in self.entries {
            let known = list(self.asked.iter().copied());
            problems.add(&tree.at, format!("there is no key `{name}` here; there are: {known}"));
        }
    }
}

/// The entries of a table of texts.
pub(super) fn texts(tree: Tree, problems: &mut Problems) -> Vec<(String, Sourced)> {
    let entries = tree.entries(problems);
    entries.into_iter().filter_map(|(name, tree)| Some((name, tree.text(problems)?))).collect()
}
