//! Checks the rules of one command.

use std::sync::Arc;

use super::check::{Checked, Scope, Slots, check, check_named};
use super::evaluate::{Let, Node};
use super::file::{CommandRules as CommandFile, EmitRule, RejectRule};
use super::problem::Problems;
use super::rules::{COMMAND, CommandRules, Emit, Expect, FIRST, ITEM, ITEMS, Reject, Rules, STREAMS, StreamRules};
use super::syntax::{self, first_literal};
use super::template::Template;
use super::tree::Sourced;
use super::types::{RecordType, Type, list};
use crate::domain::VERSION_CONFLICT;

/// Names that rules can't give to a stream or a `let`: variables have them, or CEL keeps them.
const RESERVED: &[&str] = &[
    "command",
    "event",
    "state",
    "item",
    "items",
    "first",
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Codes that the platform gives to outcomes of its own.
const PLATFORM_CODES: &[&str] = &[
    "overflow",
    "rule_failed",
    "rules_too_costly",
    "invalid_stream_id",
    "no_streams",
    "stream_exists",
    "stream_missing",
    "invalid_expected_version",
    VERSION_CONFLICT,
    "command_id_reused",
    "not_publishable",
];

/// The check of one command's rules.
pub(super) struct CommandCompiler<'r> {
    file: &'r CommandFile,
    type_: Arc<RecordType>,
    rules: &'r Rules,
    stream_types: &'r [String],
    problems: &'r mut Problems,
    slots: Slots,
    /// What is known of the command alone: in `check`, `each`, and a stream's id.
    early: Scope,
    /// What is known once the streams' states are loaded.
    full: Scope,
}

/// A stream's type, and its state's.
struct StreamType {
    name: String,
    state: Arc<RecordType>,
}

impl<'r> CommandCompiler<'r> {
    pub fn new(
        file: &'r CommandFile,
        type_: Arc<RecordType>,
        rules: &'r Rules,
        stream_types: &'r [String],
        problems: &'r mut Problems,
    ) -> Self {
        let mut slots = Slots::default();
        for _ in 0..usize::from(STREAMS) + file.streams.len() {
            slots.take();
        }
        let variables = vec![("command".to_owned(), COMMAND, Type::Record(type_.clone()))];
        let early = Scope { variables, lets: Vec::new(), later: Vec::new() };
        Self { file, type_, rules, stream_types, problems, slots, full: early.clone(), early }
    }

    /// Checks everything.
    pub fn compile(mut self) -> CommandRules {
        let file = self.file;
        let each = file.each.as_ref().map(|each| (each, self.each(each)));
        let types: Vec<StreamType> = file.streams.iter().map(|(_, id)| self.stream_type(id)).collect();
        self.add_states(&types, each.as_ref().and_then(|(_, checked)| checked.as_ref()).map(|(_, items)| items));
        let lets = (0..file.lets.len()).filter_map(|place| self.named(place)).collect();
        self.full.later.clear();
        let mut id_scope = self.early.clone();
        if let Some((_, Some((_, items)))) = &each {
            id_scope.variables.push(("item".to_owned(), ITEM, items.clone()));
        }
        let streams = (0..types.len()).filter_map(|stream| self.stream(stream, &types[stream], &id_scope)).collect();
        self.check_expected_names();
        let (early, full) = (self.early.clone(), self.full.clone());
        let check = file.check.iter().filter_map(|rule| self.reject(rule, &early)).collect();
        let reject = file.reject.iter().filter_map(|rule| self.reject(rule, &full)).collect();
        let emit: Vec<Emit> = file.emit.iter().filter_map(|rule| self.emit(rule, &types)).collect();
        if file.emit.is_empty() {
            self.problems.add(&file.at, "emits no event: add emit = [{ event = …, data = { … } }]");
        }
        let each = each.and_then(|(text, checked)| Some((checked?.0, text.at.clone())));
        let (name, type_, slots) = (file.name.clone(), self.type_.clone(), self.slots.count());
        CommandRules { name, type_, each, streams, lets, check, reject, emit, slots }
    }

    fn checked(&mut self, text: &Sourced, wanted: Option<&Type>, scope: &Scope) -> Option<Checked> {
        match check(&text.text, wanted, scope, &mut self.slots) {
            Ok(checked) => Some(checked),
            Err(found) => {
                found.into_iter().for_each(|problem| self.problems.add(&text.at, problem));
                None
            }
        }
    }

    fn each(&mut self, text: &Sourced) -> Option<(Node, Type)> {
        let checked = self.checked(text, None, &self.early.clone())?;
        match checked.type_ {
            Type::List(items) => Some((checked.node, (*items).clone())),
            other => {
                self.problems.add(&text.at, format!("`each` needs a list, such as command.entries, not {other}"));
                None
            }
        }
    }

    /// The type of a stream, which its id must begin with as a literal, so that it is known here.
    fn stream_type(&mut self, id: &Sourced) -> StreamType {
        let parsed = syntax::parse(&id.text);
        let literal = parsed.as_ref().map_or("", first_literal);
        let name = literal.split_once('-').map_or("", |(name, _)| name);
        let name = self.stream_types.iter().find(|known| *known == name).map_or("", |known| known);
        // what is not CEL is said when the id is checked
        if name.is_empty() && parsed.is_ok() {
            let known = list(self.stream_types.iter().map(|known| &**known));
            let problem =
                format!("a stream's id begins with '<type>-' as a literal; the log's stream types are: {known}");
            self.problems.add(&id.at, problem);
        }
        let state = self.rules.states.iter().find(|state| state.stream_type == name);
        let without = || RecordType { name: format!("the state of {name}"), fields: Vec::new(), is_state: true };
        StreamType {
            name: name.to_owned(),
            state: state.map_or_else(|| Arc::new(without()), |state| state.type_.clone()),
        }
    }

    fn add_states(&mut self, types: &[StreamType], items: Option<&Type>) {
        let file = self.file;
        if let Some(each) = &file.each {
            if file.streams.iter().any(|(name, _)| name.is_some()) {
                self.problems.add(&each.at, "`each` goes with one `stream` for every item, not with `streams`");
            }
            let items = items.cloned().unwrap_or(Type::Unknown);
            self.full.variables.push(("items".to_owned(), ITEMS, Type::List(items.into())));
            if let Some(type_) = types.first() {
                self.full.variables.push(("first".to_owned(), FIRST, Type::Record(type_.state.clone())));
            }
        }
        for (place, ((name, id), type_)) in (STREAMS..).zip(file.streams.iter().zip(types)) {
            if let Some(name) = name {
                self.check_name(name, id);
            }
            let name = name.as_deref().unwrap_or("state").to_owned();
            // nothing more is said of the state of a stream whose type does not exist
            let known = if type_.name.is_empty() { Type::Unknown } else { Type::Record(type_.state.clone()) };
            self.full.variables.push((name, place, known));
        }
    }

    fn check_name(&mut self, name: &str, at: &Sourced) {
        let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if RESERVED.contains(&name) {
            self.problems.add(&at.at, format!("the name {name} is reserved: choose another"));
        } else if !letters || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            self.problems
                .add(&at.at, format!("{name:?} is not a name: use lower-case letters, digits and underscores"));
        } else if self.full.variables.iter().any(|(known, ..)| known == name) {
            self.problems.add(&at.at, format!("the name {name} is taken"));
        }
    }

    /// Checks a `let`. One that depends on nothing but the command can also be used before the states are loaded.
    fn named(&mut self, place: usize) -> Option<Let> {
        let file = self.file;
        let (name, text) = &file.lets[place];
        self.check_name(name, text);
        self.full.later = file.lets[place..].iter().map(|(name, _)| name.clone()).collect();
        let early = check(&text.text, None, &self.early, &mut self.slots).ok();
        self.early.lets.push((name.clone(), early.as_ref().map(|checked| checked.type_.clone())));
        let full = self.full.clone();
        let checked = self.checked(text, None, &full);
        let type_ = checked.as_ref().map_or(Type::Unknown, |checked| checked.type_.clone());
        self.full.lets.push((name.clone(), Some(type_)));
        Some(Let { node: checked?.node, of_command: early.is_some() })
    }

    fn stream(&mut self, stream: usize, type_: &StreamType, scope: &Scope) -> Option<StreamRules> {
        let (name, id) = &self.file.streams[stream];
        let expect = self.file.expect.iter().find(|(known, _)| known.is_none() || known == name);
        let expect = expect.and_then(|(_, expect)| self.expect(expect, scope));
        let checked = self.checked(id, Some(&Type::Text), scope)?;
        Some(StreamRules {
            id: checked.node,
            type_: type_.name.clone(),
            at: id.at.clone(),
            state: type_.state.clone(),
            expect,
        })
    }

    fn expect(&mut self, expect: &Sourced, scope: &Scope) -> Option<Expect> {
        match &*expect.text {
            "no-stream" => Some(Expect::NoStream),
            "stream-exists" => Some(Expect::StreamExists),
            version => match check(version, Some(&Type::Int.or_null()), scope, &mut self.slots) {
                Ok(checked) => Some(Expect::Version(checked.node, expect.at.clone())),
                Err(found) => {
                    let forms = "\"no-stream\", \"stream-exists\", or a version such as \"command.expected_version\"";
                    // a mistyped word is no expression whose problems would help
                    let is_word = version.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
                    let why = if is_word { String::new() } else { format!(": {}", found.join("; ")) };
                    self.problems.add(&expect.at, format!("{version:?} is not {forms}{why}"));
                    None
                }
            },
        }
    }

    fn check_expected_names(&mut self) {
        let streams = &self.file.streams;
        for (name, expect) in self.file.expect.iter().filter(|(name, _)| name.is_some()) {
            if !streams.iter().any(|(known, _)| known == name) {
                let named = list(streams.iter().filter_map(|(known, _)| known.as_deref()));
                self.problems.add(&expect.at, format!("the command has no stream of that name; it has: {named}"));
            }
        }
    }

    fn reject(&mut self, rule: &RejectRule, scope: &Scope) -> Option<Reject> {
        let code = &rule.code.text;
        let letters = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if code.is_empty() || !letters {
            let problem = format!("{code:?} is not a code: use lower-case letters, digits and underscores");
            self.problems.add(&rule.code.at, problem);
        } else if PLATFORM_CODES.contains(&&**code) {
            self.problems.add(&rule.code.at, format!("the code {code} is reserved for the platform: choose another"));
        }
        let when = self.checked(&rule.when, Some(&Type::Bool), scope);
        let message = match Template::check(&rule.message.text, scope, &mut self.slots) {
            Ok(message) => Some(message),
            Err(found) => {
                found.into_iter().for_each(|problem| self.problems.add(&rule.message.at, problem));
                None
            }
        };
        Some(Reject { when: when?.node, code: code.clone(), message: message?, at: rule.when.at.clone() })
    }

    fn emit(&mut self, rule: &EmitRule, types: &[StreamType]) -> Option<Emit> {
        let scope = self.full.clone();
        let stream = self.stream_of(rule);
        let when = rule.when.as_ref().map(|when| self.checked(when, Some(&Type::Bool), &scope));
        let Some(event) = self.rules.event_places.get(&rule.event.text).copied() else {
            let events = list(self.rules.events.iter().map(|event| &*event.name));
            self.problems.add(&rule.event.at, format!("there is no event {}; there are: {events}", rule.event.text));
            return None;
        };
        let event_rules = &self.rules.events[usize::from(event)];
        let type_ = event_rules.type_.clone();
        // a stream without a type has a problem of its own
        let own = stream.and_then(|stream| types.get(stream)).filter(|own| !own.name.is_empty());
        if let Some(problem) = own.and_then(|own| self.rules.foreign_to(event, &own.name)) {
            self.problems.add(&rule.event.at, problem);
        }
        let data = self.data(rule, &type_, &scope)?;
        let when = match when {
            Some(checked) => Some(checked?.node),
            None => None,
        };
        Some(Emit { event, stream: stream?, when, data, at: rule.at.clone() })
    }

    /// The place of the stream that an event goes to.
    fn stream_of(&mut self, rule: &EmitRule) -> Option<usize> {
        let streams = &self.file.streams;
        let place = match &rule.stream {
            None if streams.len() == 1 => return Some(0),
            None => None,
            Some(stream) => streams.iter().position(|(name, _)| name.as_ref() == Some(&stream.text)),
        };
        if place.is_none() && !streams.is_empty() {
            let named = list(streams.iter().filter_map(|(name, _)| name.as_deref()));
            let at = rule.stream.as_ref().map_or(&rule.at, |stream| &stream.at);
            self.problems.add(at, format!("an event goes to one of the command's streams by its name: {named}"));
        }
        place
    }

    /// The value of an event's field. A problem names the field, which `copy` does not.
    fn field(&mut self, text: &Sourced, name: &str, wanted: &Type, scope: &Scope) -> Option<Node> {
        match check_named(&text.text, wanted, &format!("the field {name}"), scope, &mut self.slots) {
            Ok(checked) => Some(checked.node),
            Err(found) => {
                found.into_iter().for_each(|problem| self.problems.add(&text.at, problem));
                None
            }
        }
    }

    /// The fields of an event: what `data` says, what is copied, or their defaults.
    fn data(&mut self, rule: &EmitRule, event: &Arc<RecordType>, scope: &Scope) -> Option<Vec<Node>> {
        for (name, text) in rule.data.iter().filter(|(name, _)| event.field(name).is_none()) {
            self.problems.add(&text.at, format!("{} has no field {name}; it has: {}", event.name, event.names()));
        }
        let copied = match &rule.copy {
            Some(copy) => {
                let checked = self.checked(copy, None, scope)?;
                if !matches!(checked.type_, Type::Record(_)) {
                    let problem = format!("`copy` needs a record, such as command, not {}", checked.type_);
                    self.problems.add(&copy.at, problem);
                }
                Some((copy, checked))
            }
            None => None,
        };
        let mut nodes = Vec::new();
        for field in &event.fields {
            let set = rule.data.iter().find(|(name, _)| *name == field.name).map(|(_, text)| text.clone());
            let set = set.or_else(|| match &copied {
                Some((copy, Checked { type_: Type::Record(record), .. })) if record.field(&field.name).is_some() => {
                    Some(Sourced { text: format!("({}).{}", copy.text, field.name), at: copy.at.clone() })
                }
                _ => None,
            });
            match (set, &field.default) {
                (Some(text), _) => nodes.push(self.field(&text, &field.name, &field.type_, scope)),
                (None, Some(default)) => nodes.push(Some(Node::Constant(default.clone()))),
                (None, None) => {
                    let (event, name) = (&event.name, &field.name);
                    let problem = match &field.type_ {
                        Type::Unusable(why) => {
                            format!("rules can't give {event} its field {name}, which is {why}: let it have a default")
                        }
                        _ => format!(
                            "{event} needs the field {name}: add it to `data`; if the log has such events without it, the \
                             schema has to give it a default"
                        ),
                    };
                    self.problems.add(&rule.at, problem);
                    nodes.push(None);
                }
            }
        }
        nodes.into_iter().collect()
    }
}
