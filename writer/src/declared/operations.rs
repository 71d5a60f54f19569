//! What operators and functions make of values.

use std::collections::HashSet;

use super::evaluate::{Comparison, Evaluated, Fault};
use super::value::Value;

/// How many characters of a text a message shows.
const MAX_SHOWN: usize = 100;

impl Comparison {
    /// Whether the values are in this order. Equality is not asked here: [`Steps::equal`](super::steps::Steps::equal).
    pub fn orders(self, left: &Value, right: &Value) -> Result<bool, Fault> {
        let ordering = match (left, right) {
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
            _ => Some(int(left)?.cmp(&int(right)?)),
        };
        Ok(ordering.is_some_and(|ordering| match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            _ => ordering.is_ge(),
        }))
    }
}

/// `all` (decided by false) and `exists` (by true): an item that decides makes up for a fault on another.
pub(super) fn decided(
    items: &[Value],
    decisive: bool,
    mut holds: impl FnMut(&Value) -> Result<bool, Fault>,
) -> Evaluated {
    let mut fault = None;
    for item in items {
        match holds(item) {
            Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
            Err(Fault::TooCostly) => return Err(Fault::TooCostly),
            Err(other) => fault = Some(other),
            Ok(_) => {}
        }
    }
    fault.map_or(Ok(Value::Bool(!decisive)), Err)
}

pub(super) fn field_of(value: &Value, fields: &[u16], name: &str) -> Evaluated {
    let mut found = value;
    for field in fields {
        found = match found {
            Value::Record(fields) => fields.get(usize::from(*field)).unwrap_or(&Value::Absent),
            Value::Null => return Err(Fault::failed(format!("{name} is inside a record that is null"))),
            _ => &Value::Absent,
        };
    }
    match found {
        Value::Absent => Err(Fault::failed(format!("{name} is not set: ask has({name}) first"))),
        found => Ok(found.clone()),
    }
}

pub(super) fn unfit(wanted: &str, value: &Value) -> Fault {
    match value {
        Value::Null => Fault::failed(format!("a value is null where {wanted} is needed: ask … != null first")),
        _ => Fault::failed(format!("a value is not {wanted}")),
    }
}

pub(super) fn int(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(unfit("an int", other)),
    }
}

pub(super) fn text_of(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(unfit("a text", other)),
    }
}

pub(super) fn items(value: &Value) -> Result<&[Value], Fault> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(unfit("a list", other)),
    }
}

fn counted(items: usize) -> String {
    if items == 1 { "1 item".to_owned() } else { format!("{items} items") }
}

pub(super) fn whole(operator: char, left: i64, right: i64) -> Result<i64, Fault> {
    let result = match operator {
        '+' => left.checked_add(right),
        '-' => left.checked_sub(right),
        '*' => left.checked_mul(right),
        _ if right == 0 => return Err(Fault::failed("it divides by zero")),
        '/' => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    result.ok_or(Fault::Overflow)
}

pub(super) fn index(of: &Value, index: &Value) -> Evaluated {
    match (of, index) {
        (Value::Map(entries), Value::Text(key)) => entries.get(&**key).cloned().ok_or_else(|| {
            let key: String = key.chars().take(MAX_SHOWN).collect();
            Fault::failed(format!("a map has no key {key:?}"))
        }),
        _ => {
            let (items, index) = (items(of)?, int(index)?);
            let item = usize::try_from(index).ok().and_then(|index| items.get(index));
            item.cloned()
                .ok_or_else(|| Fault::failed(format!("a list of {} has no item {index}", counted(items.len()))))
        }
    }
}

pub(super) fn size(value: &Value) -> Result<i64, Fault> {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Map(entries) => entries.len(),
        list => items(list)?.len(),
    };
    i64::try_from(size).map_err(|_| Fault::Overflow)
}

/// Only the sum has to fit into 64 bits, in whatever order the items come.
pub(super) fn sum(items: &[Value]) -> Result<i64, Fault> {
    let numbers = items.iter().map(|item| int(item).map(i128::from));
    i64::try_from(numbers.sum::<Result<i128, _>>()?).map_err(|_| Fault::Overflow)
}

/// The items, each once, in the order of their first appearance.
pub(super) fn distinct(items: &[Value]) -> Value {
    let mut seen = HashSet::with_capacity(items.len());
    let first = items.iter().filter(|item| {
        seen.insert(match item {
            Value::Int(number) => (*number, ""),
            Value::Text(text) => (0, &**text),
            _ => (0, ""),
        })
    });
    Value::list(first.cloned().collect())
}
