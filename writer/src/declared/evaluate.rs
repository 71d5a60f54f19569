//! Evaluates checked expressions. Nothing here depends on a clock, on chance, or on the order of a hash map.

use super::operations::{decided, distinct, field_of, index, int, items, size, sum, text_of, unfit, whole};
use super::pattern::Pattern;
use super::steps::{MAX_STEPS, Steps};
use super::value::Value;

/// How deep `let`s may use each other, so that no evaluation overflows the stack.
const MAX_NESTED_LETS: usize = 12;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// A whole number would not fit into 64 bits.
    Overflow,
    /// The evaluation would take more than [`MAX_STEPS`].
    TooCostly,
    /// Anything else, in words that go on after the rule's name.
    Failed(String),
}

impl Fault {
    pub fn failed(problem: impl Into<String>) -> Self {
        Self::Failed(problem.into())
    }

    /// The fault in words that go on after the rule's name.
    pub fn words(&self) -> String {
        match self {
            Self::Overflow => "a number would not fit into 64 bits".to_owned(),
            Self::TooCostly => format!("it takes more than {MAX_STEPS} steps"),
            Self::Failed(problem) => problem.clone(),
        }
    }
}

/// The value of an expression, or why it has none.
pub(super) type Evaluated = Result<Value, Fault>;

/// A checked expression.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(Value),
    /// A variable, or a field inside one; the name is for messages.
    Path {
        slot: u16,
        fields: Box<[u16]>,
        name: Box<str>,
    },
    /// A field of a computed record.
    Field {
        of: Box<Node>,
        field: u16,
        name: Box<str>,
    },
    /// `has(state.x)`
    Has {
        slot: u16,
        field: u16,
    },
    /// A value that the rules name in `let`.
    Let(u16),
    If(Box<[Node; 3]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Arithmetic(char, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    Index(Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Pattern),
    Overflows(Box<Node>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Record(Vec<Node>),
    /// A macro over a list, with the slot of its variable.
    Over {
        list: Box<Node>,
        slot: u16,
        each: Each,
    },
    /// The value, which must not be null.
    Present(Box<Node>),
}

/// What a comparison asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function whose arguments are all evaluated first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    String,
    Sum,
    Distinct,
}

/// What a macro does with each item of its list.
#[derive(Debug, Clone)]
pub(super) enum Each {
    All(Box<Node>),
    Exists(Box<Node>),
    ExistsOne(Box<Node>),
    Filter(Box<Node>),
    Map { only: Option<Box<Node>>, to: Box<Node> },
}

/// A value that the rules of a command name.
#[derive(Debug, Clone)]
pub(super) struct Let {
    pub node: Node,
    /// Whether it depends on nothing but the command.
    pub of_command: bool,
}

/// Why an expression has no value: the part of it that this node is the value of is null.
fn is_null(node: &Node) -> Fault {
    match node {
        Node::Path { name, .. } => Fault::failed(format!("{name} is null here: ask {name} != null first")),
        Node::Field { name, .. } => {
            Fault::failed(format!("the field {name} is null here: ask … .{name} != null first"))
        }
        _ => Fault::failed("a value is null here: ask … != null first"),
    }
}

/// The variables of one decision, and its steps.
#[derive(Debug)]
pub(super) struct Frame<'r> {
    pub slots: Vec<Value>,
    pub steps: &'r mut Steps,
    lets: &'r [Let],
    /// The value of each `let`, once an expression has asked for it.
    known: Vec<Option<Evaluated>>,
    /// How many `let`s are being evaluated, each for the one before.
    nested_lets: usize,
}

impl<'r> Frame<'r> {
    /// A frame with so many slots, all absent.
    pub fn new(slots: u16, lets: &'r [Let], steps: &'r mut Steps) -> Self {
        let slots = vec![Value::Absent; slots.into()];
        Self { slots, steps, lets, known: vec![None; lets.len()], nested_lets: 0 }
    }

    /// Forgets the values of the `let`s that depend on a stream, as another one comes.
    pub fn forget(&mut self) {
        for (known, named) in self.known.iter_mut().zip(self.lets) {
            if !named.of_command {
                *known = None;
            }
        }
    }

    fn charge(&mut self, steps: u64) -> Result<(), Fault> {
        self.steps.charge(steps)
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// When it has none.
    pub fn value(&mut self, node: &Node) -> Evaluated {
        self.charge(1)?;
        match node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Path { slot, fields, name } => field_of(&self.slots[usize::from(*slot)], fields, name),
            Node::Field { of, field, name } => field_of(&self.value(of)?, &[*field], name),
            Node::Has { slot, field } => {
                let state = &self.slots[usize::from(*slot)];
                Ok(Value::Bool(field_of(state, &[*field], "").is_ok()))
            }
            Node::Let(index) => self.named(usize::from(*index)),
            Node::If(parts) => {
                let branch = if self.bool(&parts[0])? { &parts[1] } else { &parts[2] };
                self.value(branch)
            }
            Node::And(sides) => self.either(sides, false),
            Node::Or(sides) => self.either(sides, true),
            Node::Not(inner) => Ok(Value::Bool(!self.bool(inner)?)),
            Node::Negate(inner) => match self.value(inner)? {
                Value::Double(number) => Ok(Value::Double(-number)),
                value => int(&value)?.checked_neg().map(Value::Int).ok_or(Fault::Overflow),
            },
            Node::Arithmetic(operator, sides) => {
                let (left, right) = (self.value(&sides[0])?, self.value(&sides[1])?);
                self.arithmetic(*operator, left, right)
            }
            Node::Compare(comparison, sides) => {
                let (left, right) = (self.value(&sides[0])?, self.value(&sides[1])?);
                self.compare(*comparison, &left, &right).map(Value::Bool)
            }
            Node::Index(sides) => {
                let (of, place) = (self.value(&sides[0])?, self.value(&sides[1])?);
                self.charge(place.text_weight())?;
                index(&of, &place)
            }
            Node::In(sides) => {
                let (item, within) = (self.value(&sides[0])?, self.value(&sides[1])?);
                self.is_in(&item, &within).map(Value::Bool)
            }
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Matches(text, pattern) => {
                let text = self.value(text)?;
                let text = text_of(&text)?;
                self.charge(pattern.steps(text.len()))?;
                Ok(Value::Bool(pattern.is_match(text)))
            }
            Node::Overflows(inner) => match self.value(inner) {
                Err(Fault::Overflow) => Ok(Value::Bool(true)),
                other => other.map(|_| Value::Bool(false)),
            },
            Node::List(items) => self.all(items).map(Value::list),
            Node::Record(fields) => self.all(fields).map(Value::record),
            Node::Map(entries) => {
                self.charge(entries.iter().map(|(key, _)| 4 + key.len() as u64 / 16).sum())?;
                let entries = entries.iter().map(|(key, node)| Ok((key.clone(), self.value(node)?)));
                Ok(Value::Map(entries.collect::<Result<std::collections::BTreeMap<_, _>, _>>()?.into()))
            }
            Node::Over { list, slot, each } => self.over(list, *slot, each),
            Node::Present(inner) => match self.value(inner)? {
                Value::Null => Err(is_null(inner)),
                value => Ok(value),
            },
        }
    }

    /// The value of a condition.
    ///
    /// # Errors
    /// When it has none.
    pub fn bool(&mut self, node: &Node) -> Result<bool, Fault> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(unfit("a bool", &other)),
        }
    }

    fn all(&mut self, nodes: &[Node]) -> Result<Vec<Value>, Fault> {
        self.charge(1)?; // to allocate
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn named(&mut self, index: usize) -> Evaluated {
        if let Some(known) = &self.known[index] {
            return known.clone();
        }
        if self.nested_lets == MAX_NESTED_LETS {
            return Err(Fault::failed(format!("more than {MAX_NESTED_LETS} `let`s use one another")));
        }
        self.nested_lets += 1;
        let lets = self.lets;
        let value = self.value(&lets[index].node);
        self.nested_lets -= 1;
        self.known[index] = Some(value.clone());
        value
    }

    /// `&&` (decided by false) and `||` (by true). As CEL has it, a side that decides makes up for a fault on the
    /// other.
    fn either(&mut self, sides: &[Node; 2], decisive: bool) -> Evaluated {
        let left = match self.bool(&sides[0]) {
            Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
            Ok(value) => Ok(value),
            Err(fault) => {
                self.steps.survive(&fault)?;
                Err(fault)
            }
        };
        let right = self.bool(&sides[1])?;
        if right == decisive { Ok(Value::Bool(decisive)) } else { left.map(|_| Value::Bool(right)) }
    }

    fn compare(&mut self, comparison: Comparison, left: &Value, right: &Value) -> Result<bool, Fault> {
        match comparison {
            Comparison::Equal => self.steps.equal(left, right),
            Comparison::Unequal => self.steps.equal(left, right).map(|equal| !equal),
            _ => {
                self.charge(left.text_weight().min(right.text_weight()))?;
                comparison.orders(left, right)
            }
        }
    }

    fn is_in(&mut self, item: &Value, within: &Value) -> Result<bool, Fault> {
        match within {
            Value::Map(entries) => {
                self.charge(item.text_weight())?;
                Ok(entries.contains_key(text_of(item)?))
            }
            list => self.steps.is_among(item, items(list)?),
        }
    }

    fn arithmetic(&mut self, operator: char, left: Value, right: Value) -> Evaluated {
        match (operator, left, right) {
            ('+', Value::Text(left), Value::Text(right)) => {
                self.charge((left.len() + right.len()) as u64 / 16)?;
                Ok(Value::Text([&*left, &*right].concat().into()))
            }
            ('+', Value::List(left), Value::List(right)) => {
                self.charge((left.len() + right.len()) as u64)?;
                Ok(Value::list(left.iter().chain(&*right).cloned().collect()))
            }
            (operator, Value::Double(left), Value::Double(right)) => Ok(Value::Double(match operator {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                _ => left / right,
            })),
            (operator, left, right) => whole(operator, int(&left)?, int(&right)?).map(Value::Int),
        }
    }

    fn call(&mut self, function: Function, arguments: &[Node]) -> Evaluated {
        let values = self.all(arguments)?;
        let ([first, rest @ ..], [node, ..]) = (&*values, arguments) else {
            return Err(Fault::failed("a function without arguments"));
        };
        if *first == Value::Null {
            return Err(is_null(node));
        }
        self.charge(match (function, first) {
            (Function::Sum, Value::List(items)) => items.len() as u64,
            // hashing an item costs about as much as two operations
            (Function::Distinct, Value::List(items)) => items.iter().map(|item| 2 + item.text_weight()).sum(),
            (Function::String, _) => 2 + first.text_weight(),
            _ => first.text_weight(),
        })?;
        let second = || rest.first().map_or(Ok(""), text_of);
        Ok(match function {
            Function::Size => Value::Int(size(first)?),
            Function::Contains => Value::Bool(text_of(first)?.contains(second()?)),
            Function::StartsWith => Value::Bool(text_of(first)?.starts_with(second()?)),
            Function::EndsWith => Value::Bool(text_of(first)?.ends_with(second()?)),
            Function::String => Value::text(&first.to_string()),
            Function::Sum => Value::Int(sum(items(first)?)?),
            Function::Distinct => distinct(items(first)?),
        })
    }

    fn over(&mut self, list: &Node, slot: u16, each: &Each) -> Evaluated {
        let within = self.value(list)?;
        if within == Value::Null {
            return Err(is_null(list));
        }
        let items = items(&within)?;
        let holds = |frame: &mut Self, item: &Value, node: &Node| {
            frame.slots[usize::from(slot)] = item.clone();
            let held = frame.bool(node);
            if let Err(fault) = &held {
                frame.steps.survive(fault)?;
            }
            held
        };
        match each {
            Each::All(node) => decided(items, false, |item| holds(self, item, node)),
            Each::Exists(node) => decided(items, true, |item| holds(self, item, node)),
            Each::ExistsOne(node) => {
                let mut found = 0;
                for item in items {
                    found += usize::from(holds(self, item, node)?);
                }
                Ok(Value::Bool(found == 1))
            }
            Each::Filter(node) => {
                let mut kept = Vec::new();
                for item in items {
                    if holds(self, item, node)? {
                        kept.push(item.clone());
                    }
                }
                Ok(Value::list(kept))
            }
            Each::Map { only, to } => {
                let mut mapped = Vec::new(); // its items are paid for one by one, and the first may fail
                for item in items {
                    self.slots[usize::from(slot)] = item.clone();
                    if only.as_ref().map_or(Ok(true), |only| self.bool(only))? {
                        mapped.push(self.value(to)?);
                    }
                }
                Ok(Value::list(mapped))
            }
        }
    }
}
