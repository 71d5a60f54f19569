//! Makes checked rules of a file of rules, and collects everything that is wrong with it.

use std::sync::Arc;

use cel::parser::Expression;
use millrace_schemas::{LogDefinition, Topic};

use super::check::{Checked, Scope, Slots, check, check_parsed};
use super::compile_command::CommandCompiler;
use super::file::{FoldRules, RulesFile, StateRules};
use super::problem::{At, Problems};
use super::rules::{EventRules, Fold, Rules, StateType};
use super::syntax;
use super::types::{Field, RecordType, Type, list};

/// Most fields of a state: their types are found in as many rounds at worst, and each event copies them.
const MAX_FIELDS: usize = 500;

/// Checks a file of rules against the definition's schemas. What is wrong goes to the problems.
pub(super) fn compile(
    file: &RulesFile,
    definition: &LogDefinition,
    stream_types: &[String],
    problems: &mut Problems,
) -> Rules {
    let mut rules = Rules::default();
    for record in definition.records().iter().filter(|record| record.topic == Topic::Events) {
        let schema = record.unregistered();
        let type_ = RecordType::from_avro("event", schema.avro());
        rules.event_places.insert(record.name.clone(), rules.events.len() as u16);
        rules.events.push(EventRules { name: record.name.clone(), type_, schema, fold: None });
    }
    for state in &file.states {
        compile_state(state, stream_types, &mut rules, problems);
    }
    for command in &file.commands {
        match definition.record(Topic::Commands, &command.name) {
            Some(record) => {
                let type_ = RecordType::from_avro("command", record.unregistered().avro());
                let compiler = CommandCompiler::new(command, type_, &rules, stream_types, problems);
                let compiled = compiler.compile();
                rules.command_places.insert(command.name.clone(), rules.commands.len() as u16);
                rules.commands.push(compiled);
            }
            None => problems.add(&command.at, unknown_record("command", &command.name, definition, Topic::Commands)),
        }
    }
    let ruled = |name: &str| file.commands.iter().any(|command| command.name == name);
    let commands = definition.records().iter().filter(|record| record.topic == Topic::Commands);
    for record in commands.filter(|record| !ruled(&record.name)) {
        let start = At { line: 1, field: "commands".to_owned() };
        problems.add(&start, format!("there are no rules for the command {0}: add [commands.{0}]", record.name));
    }
    rules
}

fn unknown_record(kind: &str, name: &str, definition: &LogDefinition, topic: Topic) -> String {
    let records = definition.records().iter().filter(|record| record.topic == topic);
    format!("there is no {kind} {name}; there are: {}", list(records.map(|record| &*record.name)))
}

fn compile_state(file: &StateRules, stream_types: &[String], rules: &mut Rules, problems: &mut Problems) {
    if !stream_types.contains(&file.stream_type) {
        let known = list(stream_types.iter().map(|known| &**known));
        problems.add(&file.at, format!("{} is not a stream type of the log; there are: {known}", file.stream_type));
    }
    let known: Vec<(&FoldRules, u16)> = file
        .folds
        .iter()
        .filter_map(|fold| {
            let place = rules.event_places.get(&fold.event).copied();
            if place.is_none() {
                let events = list(rules.events.iter().map(|event| &*event.name));
                problems.add(&fold.at, format!("there is no event {}; there are: {events}", fold.event));
            }
            Some((fold, place?))
        })
        .collect();
    let type_ = infer(file, &known, rules).unwrap_or_else(|(type_, wrong)| {
        wrong.into_iter().for_each(|problem| problems.add(&file.at, problem));
        type_
    });
    let state = rules.states.len() as u16;
    for (fold, place) in known {
        if rules.events[usize::from(place)].fold.is_some() {
            problems.add(&fold.at, format!("{} changes the state of two stream types: keep it in one", fold.event));
        }
        let compiled = compile_fold(fold, state, &type_, &rules.events[usize::from(place)].type_, problems);
        rules.events[usize::from(place)].fold = Some(compiled);
    }
    rules.states.push(StateType { stream_type: file.stream_type.clone(), type_ });
}

/// Finds the types of a state's fields: each is what the expressions give that set it, and they may use other fields,
/// so they are checked until nothing new is found.
///
/// # Errors
/// What is wrong with the state as a whole, with the types as far as they are found.
fn infer(
    file: &StateRules,
    folds: &[(&FoldRules, u16)],
    rules: &Rules,
) -> Result<Arc<RecordType>, (Arc<RecordType>, Vec<String>)> {
    let mut fields: Vec<Field> = Vec::new();
    for (name, _) in folds.iter().flat_map(|(fold, _)| &fold.sets) {
        if !fields.iter().any(|field| field.name == *name) {
            fields.push(Field { name: name.clone(), type_: Type::Unknown, default: None });
        }
    }
    let name = format!("the state of {}", file.stream_type);
    let count = fields.len();
    let mut state = Arc::new(RecordType { name, fields, is_state: true });
    if count > MAX_FIELDS {
        return Err((state, vec![format!("it has {count} fields, and at most {MAX_FIELDS} are allowed")]));
    }
    let sets = parsed_sets(folds, rules, &state);
    // A field's type may change more than once: from null to null or a number, or from one enum to a text.
    for _ in 0..4 * (count + 1) {
        let found = types_of(&sets, &state);
        if state.fields.iter().zip(&found).all(|(field, type_)| field.type_ == *type_) {
            let untyped = untyped(&state);
            return if untyped.is_empty() { Ok(state) } else { Err((state, untyped)) };
        }
        let fields = state.fields.iter().zip(found);
        let fields = fields.map(|(field, type_)| Field { name: field.name.clone(), type_, default: None });
        state = Arc::new(RecordType { name: state.name.clone(), fields: fields.collect(), is_state: true });
    }
    let found = types_of(&sets, &state);
    let endless = state.fields.iter().zip(found).filter(|(field, again)| field.type_ != *again);
    let problem = |name: &str| format!("the type of the field {name} has no end: it holds itself");
    let problems = endless.map(|(field, _)| problem(&field.name)).collect();
    Err((state.clone(), problems))
}

/// A problem for each field without a type.
fn untyped(state: &RecordType) -> Vec<String> {
    let untyped = state.fields.iter().filter(|field| field.type_ == Type::Unknown);
    let problem = |name: &str| format!("nothing says of what type the field {name} is: no event gives it a value");
    untyped.map(|field| problem(&field.name)).collect()
}

/// An expression of a fold.
struct ParsedSet<'r> {
    field: usize,
    expression: Expression,
    event: &'r Arc<RecordType>,
}

/// The expressions that set a state's fields, as far as they can be parsed.
fn parsed_sets<'r>(folds: &[(&FoldRules, u16)], rules: &'r Rules, state: &RecordType) -> Vec<ParsedSet<'r>> {
    let mut sets = Vec::new();
    for (fold, place) in folds {
        for (name, text) in &fold.sets {
            if let (Ok(expression), Some((field, _))) = (syntax::parse(&text.text), state.field(name)) {
                let event = &rules.events[usize::from(*place)].type_;
                sets.push(ParsedSet { field: field.into(), expression, event });
            }
        }
    }
    sets
}

/// The types of the state's fields, if those that expressions use are as in `state`.
fn types_of(sets: &[ParsedSet<'_>], state: &Arc<RecordType>) -> Vec<Type> {
    let mut found = vec![Type::Unknown; state.fields.len()];
    for set in sets {
        let scope = fold_scope(state, set.event);
        match check_parsed(&set.expression, None, &scope, &mut Slots::default()) {
            // a type that holds its own state would grow with every round
            Ok(Checked { type_, .. }) if !type_.holds_state() => {
                let known = &mut found[set.field];
                *known = known.join(&type_).unwrap_or_else(|| known.clone());
            }
            _ => {}
        }
    }
    found
}

fn fold_scope(state: &Arc<RecordType>, event: &Arc<RecordType>) -> Scope {
    let variables = vec![
        ("state".to_owned(), 0, Type::Record(state.clone())),
        ("event".to_owned(), 1, Type::Record(event.clone())),
    ];
    Scope { variables, lets: Vec::new(), later: Vec::new() }
}

fn compile_fold(
    fold: &FoldRules,
    state: u16,
    type_: &Arc<RecordType>,
    event: &Arc<RecordType>,
    problems: &mut Problems,
) -> Fold {
    let mut slots = Slots::default();
    let scope = fold_scope(type_, event);
    for _ in &scope.variables {
        slots.take();
    }
    let mut sets = Vec::new();
    for (name, text) in &fold.sets {
        let Some((field, wanted)) = type_.field(name) else { continue };
        match check(&text.text, Some(wanted), &scope, &mut slots) {
            Ok(checked) if checked.type_.holds_state() => {
                problems.add(&text.at, "a field can't hold a whole state: name the fields that it needs");
            }
            Ok(checked) => sets.push((field, checked.node, text.at.clone())),
            Err(found) => found.into_iter().for_each(|problem| problems.add(&text.at, problem)),
        }
    }
    Fold { state, sets, slots: slots.count() }
}
