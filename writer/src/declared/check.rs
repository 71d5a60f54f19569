//! Checks parsed expressions against the types of their variables, and makes of them what is evaluated.

use cel::common::ast::{EntryExpr, Expr, ListExpr, LiteralValue, MapExpr, SelectExpr};
use cel::parser::Expression;
use millrace_schemas::parse_uuid;

use super::evaluate::Node;
use super::operators::hint_of_carried;
use super::syntax;
use super::types::{Type, list};
use super::value::Value;

/// Deepest nesting of a checked expression, so that no evaluation overflows the stack.
const MAX_DEPTH: usize = 100;

/// Deepest nesting of a value that rules make, so that neither comparing nor dropping it overflows the stack.
const MAX_TYPE_DEPTH: usize = 32;

/// The variables that an expression may use.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Each with its place in the frame.
    pub variables: Vec<(String, u16, Type)>,
    /// The named values, in the order of their places; `None` for one that can't be used here.
    pub lets: Vec<(String, Option<Type>)>,
    /// The named values that come after those: of use in a message only.
    pub later: Vec<String>,
}

/// Hands out the places in a frame; macros take theirs here too, each its own.
#[derive(Debug, Default)]
pub(super) struct Slots {
    taken: u16,
    /// Whether more were asked for than a frame can have.
    overflowed: bool,
}

impl Slots {
    /// The next free place. When there is none, [`check`] says so.
    pub fn take(&mut self) -> u16 {
        let place = self.taken;
        match place.checked_add(1) {
            Some(taken) => self.taken = taken,
            None => self.overflowed = true,
        }
        place
    }

    /// How many places a frame needs.
    pub fn count(&self) -> u16 {
        self.taken
    }
}

/// A checked expression and its type.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub node: Node,
    pub type_: Type,
}

/// Parses and checks an expression.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub(super) fn check(
    text: &str,
    wanted: Option<&Type>,
    scope: &Scope,
    slots: &mut Slots,
) -> Result<Checked, Vec<String>> {
    let parsed = syntax::parse(text).map_err(|problem| vec![problem])?;
    check_parsed(&parsed, wanted, scope, slots)
}

/// Parses and checks an expression whose value goes where a `wanted` one is needed; `what` names it in messages.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub(super) fn check_named(
    text: &str,
    wanted: &Type,
    what: &str,
    scope: &Scope,
    slots: &mut Slots,
) -> Result<Checked, Vec<String>> {
    let parsed = syntax::parse(text).map_err(|problem| vec![problem])?;
    checked(scope, slots, |checker| checker.wanted(&parsed, wanted, what))
}

/// Checks an expression that is parsed already.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub(super) fn check_parsed(
    parsed: &Expression,
    wanted: Option<&Type>,
    scope: &Scope,
    slots: &mut Slots,
) -> Result<Checked, Vec<String>> {
    checked(scope, slots, |checker| match wanted {
        Some(wanted) => checker.wanted(parsed, wanted, "the expression"),
        None => checker.expression(parsed, None),
    })
}

fn checked(
    scope: &Scope,
    slots: &mut Slots,
    check: impl FnOnce(&mut Checker<'_>) -> Checked,
) -> Result<Checked, Vec<String>> {
    let mut checker = Checker { scope, slots, locals: Vec::new(), problems: Vec::new(), depth: 0 };
    let checked = check(&mut checker);
    if checker.slots.overflowed {
        let most = u16::MAX;
        checker.problem(format!("the streams and macros of these rules need more than {most} places: use fewer"));
    }
    if checked.type_.depth() > MAX_TYPE_DEPTH {
        checker.problem(format!("lists and records nest more than {MAX_TYPE_DEPTH} deep"));
    }
    if checker.problems.is_empty() { Ok(checked) } else { Err(checker.problems) }
}

/// A check of one expression.
pub(super) struct Checker<'s> {
    pub scope: &'s Scope,
    pub slots: &'s mut Slots,
    /// The variables of the macros around, innermost last.
    pub locals: Vec<(String, u16, Type)>,
    pub problems: Vec<String>,
    depth: usize,
}

impl Checker<'_> {
    /// Notes a problem. The value of unknown type in its place causes no further ones.
    pub fn problem(&mut self, problem: String) -> Checked {
        self.problems.push(problem);
        Checked { node: Node::Constant(Value::Null), type_: Type::Unknown }
    }

    /// Checks an expression whose value goes where a `wanted` one is needed; `what` names it in a message.
    pub fn wanted(&mut self, expression: &Expression, wanted: &Type, what: &str) -> Checked {
        let Checked { node, type_ } = self.expression(expression, Some(wanted));
        if !type_.fits(wanted) {
            let hint = match (type_.present(), wanted.present()) {
                (Type::List(items), Type::List(_)) => hint_of_carried(&[items]),
                (type_, Type::Int | Type::Double) => hint_of_carried(&[type_]),
                _ => "",
            };
            return self.problem(format!("{what} is {type_}, but {wanted} is needed{hint}"));
        }
        let may_be_null = matches!(type_, Type::Nullable(_)) && !matches!(wanted, Type::Nullable(_) | Type::Unknown);
        let node = if may_be_null { Node::Present(Box::new(node)) } else { node };
        Checked { node, type_ }
    }

    /// Checks an expression. The wanted type only says what a literal of a record, a map or an enum is to be.
    pub fn expression(&mut self, expression: &Expression, wanted: Option<&Type>) -> Checked {
        self.depth += 1;
        let checked = match &expression.expr {
            _ if self.depth > MAX_DEPTH => {
                self.problem("the expression nests too deep: split it with `let`".to_owned())
            }
            Expr::Literal(literal) => self.literal(literal, wanted),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call, wanted),
            Expr::List(list) => self.list(list, wanted),
            Expr::Map(map) => self.map(map, wanted),
            Expr::Struct(_) => {
                self.problem("messages like `Name{…}` do not exist here: write {'field': value}".to_owned())
            }
            Expr::Comprehension(_) | Expr::Unspecified => self.problem("the expression is incomplete".to_owned()),
        };
        self.depth -= 1;
        checked
    }

    fn literal(&mut self, literal: &LiteralValue, wanted: Option<&Type>) -> Checked {
        let (value, type_) = match literal {
            LiteralValue::Boolean(value) => (Value::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(number) => (Value::Int(*number.inner()), Type::Int),
            LiteralValue::Double(number) => (Value::Double(*number.inner()), Type::Double),
            LiteralValue::Null => (Value::Null, Type::Null),
            LiteralValue::Bytes(bytes) => (Value::Bytes(bytes.inner().into()), Type::Bytes),
            LiteralValue::String(text) => (Value::text(text.inner()), Type::Text),
            LiteralValue::UInt(_) => {
                return self.problem("numbers without a sign do not exist here: leave out the u".into());
            }
        };
        match (wanted.map(Type::present), &value) {
            (Some(wanted), Value::Text(text)) => self.text_literal(text, wanted),
            _ => Checked { node: Node::Constant(value), type_ },
        }
    }

    /// A text that may stand for an enum's symbol, a decimal or a uuid.
    fn text_literal(&mut self, text: &str, wanted: &Type) -> Checked {
        let (text, type_) = match wanted {
            Type::Enum(symbols) if !symbols.iter().any(|symbol| **symbol == *text) => {
                let symbols = list(symbols.iter().map(|symbol| &**symbol));
                return self.problem(format!("{text:?} is not one of the enum's symbols: {symbols}"));
            }
            Type::Decimal(decimal) => match decimal.parse(text) {
                Ok(decimal) => (decimal.to_string(), wanted.clone()),
                Err(problem) => return self.problem(problem),
            },
            Type::Uuid { .. } => match parse_uuid(text) {
                Ok(uuid) => (uuid.to_string(), wanted.clone()),
                Err(problem) => return self.problem(problem),
            },
            Type::Enum(_) => (text.to_owned(), wanted.clone()),
            _ => (text.to_owned(), Type::Text),
        };
        Checked { node: Node::Constant(Value::text(&text)), type_ }
    }

    fn variable(&mut self, name: &str) -> Checked {
        let known = self.locals.iter().rev().chain(&self.scope.variables).find(|(known, ..)| known == name);
        if let Some((_, slot, type_)) = known {
            let node = Node::Path { slot: *slot, fields: Box::default(), name: name.into() };
            return Checked { node, type_: type_.clone() };
        }
        let place = self.scope.lets.iter().position(|(known, _)| known == name);
        match place.map(|place| (place, &self.scope.lets[place].1)) {
            Some((place, Some(type_))) => Checked { node: Node::Let(place as u16), type_: type_.clone() },
            Some((_, None)) => self.problem(format!("`{name}` depends on something that is not known here")),
            None if self.scope.later.iter().any(|later| later == name) => {
                self.problem(format!("a `let` can use those above it, and `{name}` is not above: move it up"))
            }
            None => {
                let variables = self.locals.iter().chain(&self.scope.variables).map(|(known, ..)| &**known);
                let lets = self.scope.lets.iter().filter(|(_, type_)| type_.is_some()).map(|(known, _)| &**known);
                let names = list(variables.chain(lets));
                self.problem(format!("there is no `{name}` here; there are: {names}"))
            }
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Checked {
        let of = self.expression(&select.operand, None);
        let Some((field, type_)) = self.field(&of.type_, &select.field) else {
            return Checked { node: of.node, type_: Type::Unknown };
        };
        let node = match of.node {
            Node::Path { slot, fields, name } => {
                let fields = fields.iter().copied().chain([field]).collect();
                Node::Path { slot, fields, name: format!("{name}.{}", select.field).into() }
            }
            computed => Node::Field { of: Box::new(computed), field, name: (*select.field).into() },
        };
        Checked { node, type_ }
    }

    /// The place and type of a record's field. Notes a problem when there is none.
    pub fn field(&mut self, of: &Type, name: &str) -> Option<(u16, Type)> {
        match of.present() {
            Type::Unknown => None,
            Type::Record(record) => match record.field(name) {
                Some((_, Type::Unusable(why))) => {
                    self.problem(format!("rules can't use the field {name} of {}: it is {why}", record.name));
                    None
                }
                Some((place, type_)) => Some((place, type_.clone())),
                None => {
                    self.problem(format!("{} has no field {name}; it has: {}", record.name, record.names()));
                    None
                }
            },
            Type::Map(_) => {
                self.problem(format!("a map's values are reached by key: write ['{name}']"));
                None
            }
            other => {
                self.problem(format!("{other} has no fields, so no .{name}"));
                None
            }
        }
    }

    fn list(&mut self, list: &ListExpr, wanted: Option<&Type>) -> Checked {
        let inner = match wanted.map(Type::present) {
            Some(Type::List(inner)) => Some(&**inner),
            _ => None,
        };
        let (mut nodes, mut type_) = (Vec::new(), Type::Unknown);
        for item in &list.elements {
            let checked = self.expression(item, inner);
            match type_.join(&checked.type_) {
                Some(joined) => type_ = joined,
                None => return self.problem(format!("a list of {type_} can't also hold {}", checked.type_)),
            }
            nodes.push(checked.node);
        }
        Checked { node: Node::List(nodes), type_: Type::List(type_.into()) }
    }

    fn map(&mut self, map: &MapExpr, wanted: Option<&Type>) -> Checked {
        let mut entries = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            match &entry.key.expr {
                Expr::Literal(LiteralValue::String(key)) => entries.push((key.inner().to_owned(), &entry.value)),
                _ => return self.problem("the keys in {…} are texts, such as {'sku': i.sku}".to_owned()),
            }
        }
        match wanted.map(Type::present) {
            Some(Type::Record(record)) => {
                let record = record.clone();
                let set = entries.iter().map(|(name, value)| (&**name, *value)).collect::<Vec<_>>();
                let fields = self.fields(&record, &set);
                Checked { node: Node::Record(fields), type_: Type::Record(record) }
            }
            Some(Type::Map(values)) => {
                let values = values.clone();
                let nodes = entries.into_iter().map(|(key, value)| {
                    let node = self.wanted(value, &values, &format!("the value of {key}")).node;
                    (key, node)
                });
                Checked { node: Node::Map(nodes.collect()), type_: Type::Map(values) }
            }
            _ => self.problem("{…} may stand only where an event's field is a record or a map".to_owned()),
        }
    }

    /// The fields of a record, each from the expression of its name or from its default.
    fn fields(&mut self, record: &super::types::RecordType, set: &[(&str, &Expression)]) -> Vec<Node> {
        for (name, _) in set {
            if record.field(name).is_none() {
                self.problem(format!("{} has no field {name}; it has: {}", record.name, record.names()));
            }
        }
        let fields = record.fields.iter().map(|field| {
            match (set.iter().find(|(name, _)| *name == field.name), &field.default) {
                (Some((name, value)), _) => self.wanted(value, &field.type_, name).node,
                (None, Some(default)) => Node::Constant(default.clone()),
                (None, None) => self.problem(format!("{} needs the field {}", record.name, field.name)).node,
            }
        });
        fields.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_with_more_macros_than_a_frame_has_places_are_refused() {
        let mut slots = Slots { taken: u16::MAX - 1, overflowed: false };
        assert!(check("[1].all(i, i > 0)", None, &Scope::default(), &mut slots).is_ok());
        let refused = check("[1].all(i, i > 0)", None, &Scope::default(), &mut slots).unwrap_err();
        assert!(refused[0].contains("need more than 65535 places"), "{refused:?}");
        assert_eq!(slots.count(), u16::MAX);
    }
}
