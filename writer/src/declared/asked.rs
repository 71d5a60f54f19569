//! What the expressions of the rules ask of fields: which values they compare a field with, and which form they want of
//! it. Generated commands follow it, so that they come past the rules that stand before others.
//!
//! A field is known by its name alone, wherever it is: rules compare `state.kind`, which an event has from
//! `command.kind`. What is asked of a field is also asked of those that it has its value from. Fields that make up the
//! ids of streams of one type count as one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evaluate::{Each, Function, Node};
use super::pattern::Pattern;
use super::rules::{CommandRules, Expect, ITEM, ITEMS, Rules};
use super::value::Value;

/// What rules ask of the fields of one name.
#[derive(Debug, Default, Clone)]
pub(super) struct Asks {
    pub patterns: Vec<Pattern>,
    /// `startsWith`, `endsWith` and `contains`, with their texts.
    pub parts: Vec<(Function, String)>,
    /// What it is compared with: texts, numbers and doubles.
    pub values: Vec<Value>,
    /// What its size is compared with.
    pub sizes: Vec<i64>,
    /// The keys that it is asked for.
    pub keys: Vec<String>,
}

/// What the rules of a file ask.
#[derive(Debug, Default)]
pub(super) struct Asked {
    by_name: BTreeMap<String, Asks>,
    /// The name under which all fields that count as one are known, for each that has another one.
    same_as: BTreeMap<String, String>,
}

/// What an expression stands for.
#[derive(Debug, Default, Clone)]
struct Meaning {
    /// The fields whose value it is, or is made of.
    names: BTreeSet<String>,
    /// The fields whose size it is.
    sized: BTreeSet<String>,
    /// The constants that it may be.
    constants: Vec<Value>,
}

impl Asked {
    /// Reads all expressions of the rules.
    pub fn from_rules(rules: &Rules) -> Self {
        let mut reading = Reading::default();
        for event in &rules.events {
            let Some(fold) = &event.fold else { continue };
            for (field, node, _) in &fold.sets {
                let meaning = reading.meaning(node);
                let state = &rules.states[usize::from(fold.state)].type_;
                reading.is_made_of(&state.fields[usize::from(*field)].name, &meaning);
            }
        }
        for command in &rules.commands {
            reading.command(command, rules);
        }
        reading.end()
    }

    /// The name under which the fields of this name are known.
    pub fn name<'n>(&'n self, name: &'n str) -> &'n str {
        self.same_as.get(name).map_or(name, |same| same)
    }

    /// Everything that is asked, each with the name of its fields.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Asks)> {
        self.by_name.iter()
    }
}

/// The reading of a file's expressions.
#[derive(Debug, Default)]
struct Reading {
    by_name: BTreeMap<String, Asks>,
    /// The variables of the macros around, and those of `each`.
    variables: HashMap<u16, Meaning>,
    /// The `let`s of the command that is read.
    lets: Vec<Meaning>,
    /// A field, and one that it has its value from.
    made_of: BTreeSet<(String, String)>,
    /// The fields that make up the ids of streams, by their type.
    ids: BTreeMap<String, BTreeSet<String>>,
}

impl Reading {
    fn command(&mut self, command: &CommandRules, rules: &Rules) {
        self.variables.clear();
        self.lets.clear();
        for named in &command.lets {
            let meaning = self.meaning(&named.node);
            self.lets.push(meaning);
        }
        if let Some((each, _)) = &command.each {
            let items = self.meaning(each);
            self.variables.insert(ITEM, items.clone());
            self.variables.insert(ITEMS, items);
        }
        for stream in &command.streams {
            let id = self.meaning(&stream.id);
            self.ids.entry(stream.type_.clone()).or_default().extend(id.names);
            if let Some(Expect::Version(version, _)) = &stream.expect {
                let constants = (0..3).map(Value::Int).collect();
                let version = self.meaning(version);
                self.compared(&version, &Meaning { constants, ..Meaning::default() });
            }
        }
        for rule in command.check.iter().chain(&command.reject) {
            self.meaning(&rule.when);
        }
        for rule in &command.emit {
            rule.when.as_ref().map(|when| self.meaning(when));
            let event = &rules.events[usize::from(rule.event)].type_;
            for (field, node) in event.fields.iter().zip(&rule.data) {
                let meaning = self.meaning(node);
                self.is_made_of(&field.name, &meaning);
            }
        }
    }

    /// Notes what the expression asks, and says what it stands for.
    fn meaning(&mut self, node: &Node) -> Meaning {
        match node {
            Node::Constant(value) => Meaning { constants: vec![value.clone()], ..Meaning::default() },
            Node::Path { slot, fields, .. } if fields.is_empty() => {
                self.variables.get(slot).cloned().unwrap_or_default()
            }
            Node::Path { name, .. } => Meaning::of(name.rsplit('.').next().unwrap_or_default()),
            Node::Field { of, name, .. } => {
                self.meaning(of);
                Meaning::of(name)
            }
            Node::Let(index) => self.lets.get(usize::from(*index)).cloned().unwrap_or_default(),
            Node::If(parts) => {
                self.meaning(&parts[0]);
                self.meaning(&parts[1]).or(self.meaning(&parts[2]))
            }
            Node::Has { .. } => Meaning::default(),
            Node::And(sides) | Node::Or(sides) => self.only_read(&**sides),
            Node::Not(inner) | Node::Overflows(inner) => self.only_read([&**inner]),
            Node::Present(inner) => self.meaning(inner),
            Node::Negate(inner) => self.meaning(inner).negated(),
            Node::Arithmetic(_, sides) => {
                let (left, right) = (self.meaning(&sides[0]), self.meaning(&sides[1]));
                // not the texts that are joined
                self.compared(&left.clone().of_numbers(), &right.clone().of_numbers());
                Meaning { constants: Vec::new(), ..left.or(right) }
            }
            Node::Compare(_, sides) => {
                let (left, right) = (self.meaning(&sides[0]), self.meaning(&sides[1]));
                self.compared(&left, &right);
                Meaning::default()
            }
            Node::Index(sides) => {
                let (of, key) = (self.meaning(&sides[0]), self.meaning(&sides[1]));
                self.keyed(&of, &key);
                of
            }
            Node::In(sides) => {
                let (item, within) = (self.meaning(&sides[0]), self.meaning(&sides[1]));
                self.compared(&item, &within);
                self.keyed(&within, &item);
                Meaning::default()
            }
            Node::Call(function, arguments) => self.called(*function, arguments),
            Node::Matches(of, pattern) => {
                for name in self.meaning(of).names {
                    self.asks(name).patterns.push(pattern.clone());
                }
                Meaning::default()
            }
            Node::List(items) => items.iter().fold(Meaning::default(), |all, item| all.or(self.meaning(item))),
            Node::Record(fields) => self.only_read(fields),
            Node::Map(entries) => self.only_read(entries.iter().map(|(_, node)| node)),
            Node::Over { list, slot, each } => self.over(list, *slot, each),
        }
    }

    fn only_read<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) -> Meaning {
        nodes.into_iter().for_each(|node| {
            self.meaning(node);
        });
        Meaning::default()
    }

    fn called(&mut self, function: Function, arguments: &[Node]) -> Meaning {
        let arguments: Vec<Meaning> = arguments.iter().map(|argument| self.meaning(argument)).collect();
        let Some(of) = arguments.first() else { return Meaning::default() };
        match function {
            Function::Size => Meaning { sized: of.names.clone(), ..Meaning::default() },
            Function::Contains | Function::StartsWith | Function::EndsWith => {
                for constant in arguments.iter().skip(1).flat_map(|part| &part.constants) {
                    for name in &of.names {
                        self.asks(name.clone()).parts.push((function, constant.to_string()));
                    }
                }
                Meaning::default()
            }
            Function::String | Function::Sum | Function::Distinct => of.clone(),
        }
    }

    fn over(&mut self, list: &Node, slot: u16, each: &Each) -> Meaning {
        let items = self.meaning(list);
        self.variables.insert(slot, items.clone());
        match each {
            Each::All(condition) | Each::Exists(condition) | Each::ExistsOne(condition) => {
                self.only_read([&**condition])
            }
            Each::Filter(condition) => {
                self.meaning(condition);
                items
            }
            Each::Map { only, to } => {
                self.only_read(only.as_deref());
                self.meaning(to)
            }
        }
    }

    fn asks(&mut self, name: String) -> &mut Asks {
        self.by_name.entry(name).or_default()
    }

    /// Two values are compared: the constants of each are what is asked of the fields of the other.
    fn compared(&mut self, left: &Meaning, right: &Meaning) {
        for (fields, constants) in [(left, &right.constants), (right, &left.constants)] {
            for constant in constants {
                for name in &fields.names {
                    self.asks(name.clone()).values.push(constant.clone());
                }
                if let Value::Int(size) = constant {
                    fields.sized.iter().for_each(|name| self.asks(name.clone()).sizes.push(*size));
                }
            }
        }
    }

    fn keyed(&mut self, map: &Meaning, key: &Meaning) {
        for key in &key.constants {
            if let Value::Text(key) = key {
                map.names.iter().for_each(|name| self.asks(name.clone()).keys.push(key.to_string()));
            }
        }
    }

    /// The field has its value from those of the meaning, so what is asked of it is asked of them.
    fn is_made_of(&mut self, field: &str, meaning: &Meaning) {
        let others = meaning.names.iter().filter(|name| *name != field);
        self.made_of.extend(others.map(|name| (field.to_owned(), name.clone())));
    }

    fn end(mut self) -> Asked {
        let mut same_as = BTreeMap::new();
        for names in self.ids.values() {
            let Some(first) = names.first() else { continue };
            for name in names.iter().skip(1).filter(|name| *name != first) {
                same_as.entry(name.clone()).or_insert_with(|| first.clone());
            }
        }
        // what is asked of a state is asked of the event, and then of the command
        for _ in 0..2 {
            for (field, from) in &self.made_of {
                if let Some(asks) = self.by_name.get(field).cloned() {
                    self.by_name.entry(from.clone()).or_default().add(asks);
                }
            }
        }
        let mut by_name: BTreeMap<String, Asks> = BTreeMap::new();
        for (name, asks) in self.by_name {
            let name = same_as.get(&name).cloned().unwrap_or(name);
            by_name.entry(name).or_default().add(asks);
        }
        Asked { by_name, same_as }
    }
}

impl Meaning {
    fn of(name: &str) -> Self {
        Self { names: BTreeSet::from([name.to_owned()]), ..Self::default() }
    }

    /// What is one or the other.
    fn or(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.sized.extend(other.sized);
        add_new(&mut self.constants, other.constants);
        self
    }

    fn of_numbers(mut self) -> Self {
        self.constants.retain(|constant| !matches!(constant, Value::Text(_)));
        self
    }

    fn negated(mut self) -> Self {
        for constant in &mut self.constants {
            *constant = match &*constant {
                Value::Int(number) => Value::Int(number.wrapping_neg()),
                Value::Double(number) => Value::Double(-*number),
                other => other.clone(),
            };
        }
        self
    }
}

impl Asks {
    fn add(&mut self, other: Self) {
        let known: BTreeSet<String> = self.patterns.iter().map(|pattern| pattern.text().to_owned()).collect();
        self.patterns.extend(other.patterns.into_iter().filter(|pattern| !known.contains(pattern.text())));
        add_new(&mut self.parts, other.parts);
        add_new(&mut self.values, other.values);
        add_new(&mut self.sizes, other.sizes);
        add_new(&mut self.keys, other.keys);
    }
}

fn add_new<T: PartialEq>(to: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}
