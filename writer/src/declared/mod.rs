//! The declared domain: the rules of a log as a file, `domain.toml`, whose expressions are CEL.
//!
//! [`DeclaredDomain::load`] checks every name and type of the file against the log's Avro schemas,
//! [`DeclaredDomain::check_generated`] the rules themselves on generated data. What passes both can't fail for a wrong
//! name or type when a command comes. A rule that has no value then (an overflow, a division by zero, too many steps)
//! rejects its command with a stable code; nothing in the rules can stop a writer, hang it, or depend on a clock, on
//! chance, or on the order of a hash map.
//!
//! The form of the file is described in `docs/reference/log-definition.md`.

mod asked;
mod avro;
mod cases;
mod chance;
mod check;
mod compile;
mod compile_command;
mod decide;
mod evaluate;
mod event;
mod file;
mod functions;
mod generated;
mod operations;
mod operators;
mod pattern;
mod problem;
mod rules;
mod sample;
mod source;
mod state;
mod steps;
mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod value;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, StreamId};

use self::avro::RecordReader;
use self::event::Addressed;
pub use self::event::{DeclaredCommand, DeclaredEvent};
use self::file::RulesFile;
use self::problem::Problems;
pub use self::problem::{Problem, RulesError};
use self::rules::Rules;
pub use self::state::DeclaredState;
use self::steps::Steps;
use self::value::Value;
use crate::{Domain, Rejection};

/// A log's domain as its file of rules declares it.
///
/// ```
/// use millrace_schemas::LogDefinition;
/// use millrace_writer::DeclaredDomain;
///
/// let command = r#"{"type": "record", "name": "PlaceOrder", "fields": [{"name": "order_id", "type": "string"}]}"#;
/// let event = r#"{"type": "record", "name": "OrderPlaced", "fields": [{"name": "order_id", "type": "string"}]}"#;
/// let definition = LogDefinition::parse("orders", &[command], &[event])?;
/// let rules = r#"
///     [state.order]
///     OrderPlaced = { status = "'placed'" }
///
///     [commands.PlaceOrder]
///     stream = "'order-' + command.order_id"
///     reject = [{ when = "has(state.status)", code = "order_exists", message = "{command.order_id} is there already." }]
///     emit = [{ event = "OrderPlaced", copy = "command" }]
/// "#;
/// let definition = definition.with_stream_types(vec!["order".to_owned()]);
/// let domain = DeclaredDomain::load(definition, "orders/domain.toml", rules)?;
/// domain.check_generated("orders/domain.toml", rules)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeclaredDomain {
    definition: LogDefinition,
    rules: Rules,
    /// What makes states of events, as text.
    folds: String,
}

impl DeclaredDomain {
    /// Reads the text of a file of rules, and checks its names and types. `file` is its name in messages.
    ///
    /// # Errors
    /// Every problem that can be found at once, each with its line, its field, the names that exist, and what to do.
    pub fn load(definition: LogDefinition, file: &str, text: &str) -> Result<Self, RulesError> {
        let mut problems = Problems::new(file);
        let parts = RulesFile::parse(text, &mut problems);
        let rules = if problems.is_empty() {
            compile::compile(&parts, &definition, &definition.stream_types, &mut problems)
        } else {
            Rules::default()
        };
        let folds = parts.folds(&definition);
        problems.or(Self { definition, rules, folds })
    }

    /// Decides generated commands, to find what types can't show: a value that may be null or missing, an index outside
    /// a list, a division by zero. Takes up to a few seconds, so do it once, before rules are first used. `text` is the
    /// file that they were loaded from.
    ///
    /// Returns the rules that no generated command got past: what follows these is untried.
    ///
    /// # Errors
    /// The rules that had no value, each with the command for which it had none.
    pub fn check_generated(&self, file: &str, text: &str) -> Result<Vec<Problem>, RulesError> {
        let mut problems = Problems::new(file);
        let untried = generated::run(&self.rules, source::literals(text), &mut problems);
        let untried = untried.into_iter().map(|(at, note)| problems.note(at, note)).collect();
        problems.or(untried)
    }

    /// By event, the types of the streams that the rules put it on. An event that no rule mentions is missing.
    pub fn stream_types_of_events(&self) -> BTreeMap<String, Vec<String>> {
        self.rules.stream_types_of_events()
    }

    /// What makes states of events: the expressions, and the schemas of the events that they read. Domains with equal
    /// texts make the same states.
    pub(crate) fn folds(&self) -> &str {
        &self.folds
    }

    /// The streams of a command, found once, and the steps that are left for its decision.
    fn addressed<'c>(&self, command: &'c DeclaredCommand) -> Result<&'c (Addressed, Steps), Rejection> {
        if let Some(found) = command.addressed.get() {
            return Ok(found);
        }
        let mut steps = Steps::default();
        let addressed = decide::address(&self.rules.commands[usize::from(command.command)], command, &mut steps)?;
        Ok(command.addressed.get_or_init(|| (addressed, steps)))
    }
}

impl Domain for DeclaredDomain {
    type Command = DeclaredCommand;
    type Event = DeclaredEvent;
    type State = DeclaredState;

    fn definition(&self) -> &LogDefinition {
        &self.definition
    }

    fn read_command(&self, received: &Received<'_>) -> Option<Result<DeclaredCommand, DecodeError>> {
        let command = *self.rules.command_places.get(received.name())?;
        let type_ = &self.rules.commands[usize::from(command)].type_;
        let fields = received.read_with(RecordReader(type_));
        Some(fields.map(|fields| DeclaredCommand { command, fields, addressed: OnceLock::new() }))
    }

    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<DeclaredEvent, DecodeError>> {
        let event = *self.rules.event_places.get(&schema.name)?;
        let rules = &self.rules.events[usize::from(event)];
        let fields = match &rules.fold {
            None => Ok(Value::Absent), // nothing would look at them
            // a registry may lay the text out anew
            Some(_) if schema.text == rules.schema.text || schema.avro() == rules.schema.avro() => {
                schema.decode_with(datum, RecordReader(&rules.type_))
            }
            Some(_) => {
                let converted = schema.convert(datum, rules.schema);
                converted.and_then(|datum| rules.schema.decode_with(&datum, RecordReader(&rules.type_)))
            }
        };
        Some(fields.map(|fields| DeclaredEvent { event, type_: rules.type_.clone(), fields }))
    }

    fn command_name(&self, command: &DeclaredCommand) -> &str {
        &self.rules.commands[usize::from(command.command)].name
    }

    fn event_name(&self, event: &DeclaredEvent) -> &str {
        &self.rules.events[usize::from(event.event)].name
    }

    fn streams(&self, command: &DeclaredCommand) -> Result<Vec<StreamId>, Rejection> {
        Ok(self.addressed(command)?.0.streams.clone())
    }

    fn decide(
        &self,
        command: &DeclaredCommand,
        states: &[&DeclaredState],
    ) -> Result<Vec<(usize, DeclaredEvent)>, Rejection> {
        let (addressed, steps) = self.addressed(command)?;
        let mut steps = *steps; // another attempt at the decision begins with as many
        Ok(decide::decide(&self.rules, command, addressed, states, &mut steps)?)
    }

    fn evolve(&self, state: &mut DeclaredState, event: &DeclaredEvent) {
        state.evolve(&self.rules, event);
    }
}
