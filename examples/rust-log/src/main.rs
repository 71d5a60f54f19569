//! A log of one's own with rules in Rust: a library that lends each book to one reader at a time.

mod readers;

use std::process::ExitCode;

use millrace::{DecodeError, Domain, Log, LogDefinition, Received, RecordSchema, Rejection, StreamId};
use readers::Readers;
use serde::{Deserialize, Serialize};

/// What can be asked.
const COMMANDS: [&str; 2] = [
    r#"{"type": "record", "name": "LendBook", "namespace": "library", "fields": [
        {"name": "book_id", "type": "string"}, {"name": "reader", "type": "string"}]}"#,
    r#"{"type": "record", "name": "ReturnBook", "namespace": "library", "fields": [
        {"name": "book_id", "type": "string"}]}"#,
];

/// What happens.
const EVENTS: [&str; 2] = [
    r#"{"type": "record", "name": "BookLent", "namespace": "library", "fields": [
        {"name": "book_id", "type": "string"}, {"name": "reader", "type": "string"}]}"#,
    r#"{"type": "record", "name": "BookReturned", "namespace": "library", "fields": [
        {"name": "book_id", "type": "string"}]}"#,
];

/// Either command: a reader to lend to, or nobody when the book comes back.
#[derive(Deserialize)]
struct Command {
    book_id: String,
    reader: Option<String>,
}

/// Either event, which has the fields of its command.
#[derive(Serialize, Deserialize)]
struct Event {
    book_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reader: Option<String>,
}

struct Library(LogDefinition);

impl Domain for Library {
    type Command = Command;
    type Event = Event;
    /// Who has the book.
    type State = Option<String>;

    fn definition(&self) -> &LogDefinition {
        &self.0
    }

    fn read_command(&self, received: &Received<'_>) -> Option<Result<Command, DecodeError>> {
        matches!(received.name(), "LendBook" | "ReturnBook").then(|| received.read())
    }

    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<Event, DecodeError>> {
        matches!(&*schema.name, "BookLent" | "BookReturned").then(|| schema.decode(datum))
    }

    fn command_name(&self, command: &Command) -> &str {
        if command.reader.is_some() { "LendBook" } else { "ReturnBook" }
    }

    fn event_name(&self, event: &Event) -> &str {
        if event.reader.is_some() { "BookLent" } else { "BookReturned" }
    }

    fn streams(&self, command: &Command) -> Result<Vec<StreamId>, Rejection> {
        let book = StreamId::new("book", &command.book_id);
        Ok(vec![book.map_err(|error| Rejection::new("invalid_book_id", error.to_string()))?])
    }

    fn decide(&self, command: &Command, states: &[&Option<String>]) -> Result<Vec<(usize, Event)>, Rejection> {
        let holder = states.first().and_then(|holder| holder.as_deref());
        match (holder, &command.reader) {
            (Some(holder), Some(_)) => Err(Rejection::new("book_is_lent", format!("{holder} has the book."))),
            (None, None) => Err(Rejection::new("book_is_here", "The book is not lent.")),
            _ => Ok(vec![(0, Event { book_id: command.book_id.clone(), reader: command.reader.clone() })]),
        }
    }

    fn evolve(&self, holder: &mut Option<String>, event: &Event) {
        holder.clone_from(&event.reader);
    }
}

fn main() -> ExitCode {
    let definition = LogDefinition::parse("library", &COMMANDS, &EVENTS).expect("the schemas are sound");
    millrace::main([Log::new(Library(definition)).with_projectors(|| vec![Box::new(Readers)])])
}
