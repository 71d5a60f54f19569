//! Values for generated commands: such as the rules ask for, mostly, and others.

use std::collections::{BTreeMap, BTreeSet};

use millrace_schemas::parse_uuid;

use super::asked::{Asked, Asks};
use super::chance::Chance;
use super::evaluate::Function;
use super::sample::Samples;
use super::types::Type;
use super::value::Value;

/// Few uuids, so that commands meet on the same streams.
const UUIDS: [&str; 2] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];
/// How many texts are made for one field, and how many of one pattern.
const MAX_TEXTS: usize = 100;
const SAMPLES: usize = 12;
/// Longest text and list that is made because the rules ask for a size.
const MAX_TEXT: i64 = 600;
const MAX_LIST: i64 = 20;
/// How many steps looking for patterns in the texts may take, for all fields together: a second at most.
const MAX_STEPS: u64 = 20_000_000;
/// How many values of a field are remembered.
const MAX_REMEMBERED: usize = 4;

/// A source of values.
pub(super) struct Source {
    chance: Chance,
    asked: Asked,
    /// The literals of the file.
    texts: Vec<String>,
    fields: BTreeMap<String, FieldValues>,
    /// Whether the command that is made now tries to do as it is asked.
    willing: bool,
    /// Values of the episode's accepted commands, by field.
    remembered: BTreeMap<String, Vec<Value>>,
}

/// Values that the rules ask for in the fields of one name.
#[derive(Default)]
struct FieldValues {
    /// Texts that do everything that is asked of their form, and the literals.
    fit: Vec<String>,
    /// Texts that do some of it.
    others: Vec<String>,
    /// A few of them, for this episode, so that commands meet on the same streams.
    favourites: Vec<String>,
    ints: Vec<i64>,
    doubles: Vec<f64>,
    sizes: Vec<i64>,
    keys: Vec<String>,
}

impl Source {
    /// A source for rules that ask this. `texts` are the literals of their file.
    pub fn new(asked: Asked, texts: Vec<String>) -> Self {
        let (mut chance, mut steps) = (Chance(1), MAX_STEPS);
        let fields = asked.iter().map(|(name, asks)| (name.clone(), FieldValues::new(asks, &mut chance, &mut steps)));
        let fields = fields.collect();
        Self { chance, asked, texts, fields, willing: true, remembered: BTreeMap::new() }
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.chance.below(below)
    }

    /// Begins anew: no stream exists.
    pub fn begin_episode(&mut self) {
        self.remembered.clear();
        for field in self.fields.values_mut() {
            let picked = [&field.fit, &field.fit, &field.others].map(|texts| self.chance.one_of(texts).cloned());
            field.favourites = picked.into_iter().flatten().collect();
        }
    }

    /// The fields of a command.
    pub fn command(&mut self, type_: &Type) -> Value {
        self.willing = self.chance.below(4) != 0;
        self.value("", type_)
    }

    /// Remembers the values of an accepted command: others may ask for the same stream, or for what it has set.
    pub fn remember(&mut self, name: &str, type_: &Type, value: &Value) {
        match (type_.present(), value) {
            (Type::Record(record), Value::Record(values)) => {
                for (field, value) in record.fields.iter().zip(&**values) {
                    self.remember(&field.name, &field.type_, value);
                }
            }
            (Type::List(inner), Value::List(items)) => items.iter().for_each(|item| self.remember(name, inner, item)),
            (Type::Text | Type::Int | Type::Decimal(_) | Type::Uuid { .. }, Value::Text(_) | Value::Int(_)) => {
                let known = self.remembered.entry(self.asked.name(name).to_owned()).or_default();
                if known.len() < MAX_REMEMBERED && !known.contains(value) {
                    known.push(value.clone());
                }
            }
            _ => {}
        }
    }

    fn value(&mut self, name: &str, type_: &Type) -> Value {
        match type_ {
            Type::Null | Type::Unknown | Type::Unusable(_) => Value::Null,
            Type::Nullable(_) if self.chance.below(3) == 0 => Value::Null,
            Type::Nullable(inner) => self.value(name, inner),
            Type::Bool => Value::Bool(self.chance.below(2) == 0),
            Type::Int => {
                self.again(name).filter(|value| matches!(value, Value::Int(_))).unwrap_or_else(|| self.int(name))
            }
            Type::Double => Value::Double(self.double(name)),
            Type::Text => match self.again(name) {
                Some(Value::Text(text)) => Value::Text(text),
                _ => Value::text(&self.text(name)),
            },
            Type::Bytes => {
                Value::Bytes(self.chance.one_of(&[vec![], vec![0, 255]]).cloned().unwrap_or_default().into())
            }
            Type::Enum(symbols) => Value::text(self.chance.one_of(symbols).map_or("", |symbol| symbol)),
            Type::Decimal(type_) => {
                let fits = |text: String| type_.parse(&text).ok();
                let again = self.again(name).and_then(|value| fits(value.to_string()));
                let known = again.or_else(|| fits(self.favourite(name)?));
                let known = known.or_else(|| fits(self.chance.one_of(&self.texts)?.clone()));
                let small = [self.chance.one_of(&[0_u8, 1, 255]).copied().unwrap_or_default()];
                known
                    .or_else(|| type_.from_bytes(&small).ok())
                    .map_or(Value::Null, |known| Value::text(&known.to_string()))
            }
            Type::Uuid { .. } => {
                let known = self.again(name).map(|value| value.to_string()).or_else(|| self.favourite(name));
                let known = known.or_else(|| self.chance.one_of(&self.texts).cloned());
                let known = known.filter(|text| parse_uuid(text).is_ok());
                Value::text(known.as_deref().unwrap_or(UUIDS[self.chance.below(UUIDS.len())]))
            }
            Type::List(inner) => {
                let length = self.size(name, MAX_LIST);
                let length = length.or_else(|| self.chance.one_of(&[0, 1, 1, 2, 3]).copied()).unwrap_or_default();
                Value::list((0..length).map(|_| self.value(name, inner)).collect())
            }
            Type::Map(inner) => {
                let keys = self.fields.get(self.asked.name(name)).map_or_else(Vec::new, |field| field.keys.clone());
                let mut keys: BTreeSet<String> = keys.into_iter().filter(|_| self.chance.below(4) != 0).collect();
                let more = self.chance.below(3);
                keys.extend((0..more).map(|_| self.ordinary()));
                let entries = keys.into_iter().map(|key| (key, self.value(name, inner)));
                Value::Map(entries.collect::<BTreeMap<_, _>>().into())
            }
            Type::Record(record) => {
                Value::record(record.fields.iter().map(|field| self.value(&field.name, &field.type_)).collect())
            }
        }
    }

    /// Whether the next value is such as the rules ask for.
    fn as_asked(&mut self) -> bool {
        self.chance.below(8) < if self.willing { 7 } else { 2 }
    }

    /// A value that an accepted command had in the field.
    fn again(&mut self, name: &str) -> Option<Value> {
        let known = self.remembered.get(self.asked.name(name))?;
        if self.chance.below(3) == 0 { self.chance.one_of(known).cloned() } else { None }
    }

    fn favourite(&mut self, name: &str) -> Option<String> {
        if !self.as_asked() {
            return None;
        }
        let field = self.fields.get(self.asked.name(name))?;
        self.chance.one_of(&field.favourites).cloned()
    }

    fn size(&mut self, name: &str, most: i64) -> Option<i64> {
        if !self.as_asked() {
            return None;
        }
        let field = self.fields.get(self.asked.name(name))?;
        self.chance.one_of(&field.sizes).copied().filter(|size| (0..=most).contains(size))
    }

    fn int(&mut self, name: &str) -> Value {
        let asked = if self.as_asked() { self.fields.get(self.asked.name(name)) } else { None };
        let asked = asked.and_then(|field| self.chance.one_of(&field.ints).copied());
        Value::Int(asked.unwrap_or_else(|| match self.chance.below(20) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => -1,
            3 => 0,
            _ => self.chance.one_of(&[1, 1, 2, 100]).copied().unwrap_or_default(),
        }))
    }

    fn double(&mut self, name: &str) -> f64 {
        let asked = if self.as_asked() { self.fields.get(self.asked.name(name)) } else { None };
        let asked = asked.and_then(|field| self.chance.one_of(&field.doubles).copied());
        asked.or_else(|| self.chance.one_of(&[0.0, 1.0, -1.5, 1e300, f64::NAN]).copied()).unwrap_or_default()
    }

    fn text(&mut self, name: &str) -> String {
        self.favourite(name).unwrap_or_else(|| self.ordinary())
    }

    fn ordinary(&mut self) -> String {
        match self.chance.below(12) {
            0 => String::new(),
            1 => "é ".repeat(300),
            2 => self.chance.one_of(&self.texts).cloned().unwrap_or_default(),
            3..=5 => "EUR".to_owned(),
            _ => self.chance.one_of(&["a", "b"]).copied().unwrap_or_default().to_owned(),
        }
    }
}

impl FieldValues {
    fn new(asks: &Asks, chance: &mut Chance, steps: &mut u64) -> Self {
        let mut values = Self { keys: asks.keys.clone(), ..Self::default() };
        for value in &asks.values {
            match value {
                Value::Text(text) => values.fit.push(text.to_string()),
                Value::Int(number) => {
                    values.ints.extend([*number, number.saturating_sub(1), number.saturating_add(1)]);
                }
                Value::Double(number) => values.doubles.extend([*number, number - 1.0, number + 1.0]),
                _ => {}
            }
        }
        values
            .sizes
            .extend(asks.sizes.iter().flat_map(|size| [*size, *size, size.saturating_sub(1), size.saturating_add(1)]));
        let made = texts(asks, chance);
        let done: Vec<usize> = made.iter().map(|text| asks.done_by(text, steps)).collect();
        let most = done.iter().copied().max().unwrap_or_default();
        for (text, done) in made.into_iter().zip(done) {
            if done == most { values.fit.push(text) } else { values.others.push(text) }
        }
        values
    }
}

impl Asks {
    /// How much of what is asked of a text's form this one does.
    fn done_by(&self, text: &str, steps: &mut u64) -> usize {
        let patterns = self.patterns.iter().filter(|pattern| {
            let left = steps.checked_sub(pattern.steps(text.len()));
            *steps = left.unwrap_or_default();
            left.is_some() && pattern.is_match(text)
        });
        let parts = self.parts.iter().filter(|(function, part)| match function {
            Function::StartsWith => text.starts_with(part),
            Function::EndsWith => text.ends_with(part),
            _ => text.contains(part),
        });
        let size = text.chars().count() as i64;
        patterns.count() + parts.count() + usize::from(self.sizes.contains(&size))
    }
}

/// Texts of the form that is asked for: of the patterns, with the parts, and of the sizes.
fn texts(asks: &Asks, chance: &mut Chance) -> Vec<String> {
    let mut texts = Vec::new();
    for samples in asks.patterns.iter().filter_map(|pattern| Samples::parse(pattern.text())) {
        // many more are tried where a size is asked for too
        let tries = if asks.sizes.is_empty() { SAMPLES } else { 10 * SAMPLES };
        let made = (0..tries).filter_map(|_| samples.text(chance));
        let asked_size = |text: &String| asks.sizes.is_empty() || asks.sizes.contains(&(text.chars().count() as i64));
        let (sized, others): (Vec<String>, Vec<String>) = made.partition(asked_size);
        texts.extend(sized.into_iter().take(SAMPLES).chain(others.into_iter().take(SAMPLES)));
    }
    let part = |wanted: Function, chance: &mut Chance| {
        let parts = asks.parts.iter().filter(|(function, _)| *function == wanted).map(|(_, part)| &**part);
        let parts: Vec<&str> = parts.collect();
        chance.one_of(&parts).copied().unwrap_or_default()
    };
    let joined = if asks.parts.is_empty() { 0 } else { SAMPLES };
    for _ in 0..joined {
        let middle = chance.one_of(&texts).filter(|_| chance.below(2) == 0).cloned().unwrap_or_else(|| "a".to_owned());
        let (start, contained) = (part(Function::StartsWith, chance), part(Function::Contains, chance));
        texts.push(format!("{start}{middle}{contained}{}", part(Function::EndsWith, chance)));
    }
    for size in asks.sizes.iter().filter(|size| (0..=MAX_TEXT).contains(*size)) {
        texts.push("a".repeat(*size as usize));
    }
    texts.truncate(MAX_TEXTS);
    texts
}

/// The texts in quotation marks in expressions.
pub(super) fn literals(text: &str) -> Vec<String> {
    let quoted =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split('\'').skip(1).step_by(2));
    let mut literals: Vec<String> = quoted.map(ToOwned::to_owned).collect();
    literals.sort();
    literals.dedup();
    literals
}
