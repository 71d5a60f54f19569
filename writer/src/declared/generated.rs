//! Runs rules on generated commands, so that what types can't show is seen when rules are checked: a value that may be
//! null, a field of a state that no event has set yet, an index outside its list, a division by zero.
//!
//! The data is the same on every run. Texts come from a small pool, so that commands meet on the same streams.

use std::collections::HashMap;
use std::sync::OnceLock;

use millrace_schemas::{StreamId, parse_uuid};

use super::avro::Typed;
use super::decide::{Refusal, address, decide};
use super::evaluate::Fault;
use super::event::DeclaredCommand;
use super::problem::{At, Problems};
use super::rules::Rules;
use super::state::DeclaredState;
use super::steps::Steps;
use super::types::Type;
use super::value::Value;

/// How many commands are generated.
const COMMANDS: usize = 4_000;
/// No more commands are generated after so many steps of evaluation, a few seconds.
const MAX_STEPS: u64 = 200_000_000;
/// After so many commands, streams begin anew.
const EPISODE: usize = 50;
/// Few uuids, so that commands meet on the same streams.
const UUIDS: [&str; 2] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];
/// Longest command in a message, in characters.
const MAX_SHOWN: usize = 500;

/// Decides generated commands on the states that earlier ones have left. `texts` are literals of the rules, which they
/// may wait for.
pub(super) fn run(rules: &Rules, texts: Vec<String>, problems: &mut Problems) {
    if rules.commands.is_empty() {
        return;
    }
    let mut source = Source { seed: 1, texts };
    let mut states: HashMap<StreamId, DeclaredState> = HashMap::new();
    let mut known: Vec<At> = Vec::new();
    let mut taken = 0;
    for turn in 0..COMMANDS {
        if turn % EPISODE == 0 {
            states.clear();
        }
        let place = turn % rules.commands.len();
        let type_ = Type::Record(rules.commands[place].type_.clone());
        let fields = source.value(&type_);
        let command = DeclaredCommand { command: place as u16, fields, addressed: OnceLock::new() };
        let mut steps = Steps::default();
        let came = play(rules, &command, &mut states, &mut steps);
        taken += steps.taken();
        if let Err(Refusal::Fault(at, fault @ (Fault::Failed(_) | Fault::TooCostly))) = came
            && !known.contains(at)
        {
            known.push(at.clone());
            let problem = fault.words();
            let json = serde_json::to_string(&Typed(&type_, &command.fields)).unwrap_or_default();
            let json: String = json.chars().take(MAX_SHOWN).collect();
            let name = &rules.commands[place].name;
            problems.add(at, format!("{problem}; it came to this on generated data, for {name} {json}"));
        }
        if taken > MAX_STEPS {
            return;
        }
    }
}

fn play<'r>(
    rules: &'r Rules,
    command: &DeclaredCommand,
    states: &mut HashMap<StreamId, DeclaredState>,
    steps: &mut Steps,
) -> Result<(), Refusal<'r>> {
    let addressed = address(&rules.commands[usize::from(command.command)], command, steps)?;
    let found: Vec<DeclaredState> =
        addressed.streams.iter().map(|id| states.get(id).cloned().unwrap_or_default()).collect();
    let events = decide(rules, command, &addressed, &found.iter().collect::<Vec<_>>(), steps)?;
    for (stream, event) in &events {
        states.entry(addressed.streams[*stream].clone()).or_default().evolve(rules, event);
    }
    Ok(())
}

/// A source of values.
struct Source {
    seed: u64,
    texts: Vec<String>,
}

impl Source {
    /// A number below `below`: splitmix64.
    fn below(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below.max(1) as u64) as usize
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len())).cloned()
    }

    fn value(&mut self, type_: &Type) -> Value {
        match type_ {
            Type::Null | Type::Unknown | Type::Unusable(_) => Value::Null,
            Type::Nullable(_) if self.below(3) == 0 => Value::Null,
            Type::Nullable(inner) => self.value(inner),
            Type::Bool => Value::Bool(self.below(2) == 0),
            Type::Int => Value::Int(self.int()),
            Type::Double => Value::Double(self.one_of(&[0.0, 1.0, -1.5, 1e300, f64::NAN]).unwrap_or_default()),
            Type::Text => Value::text(&self.text()),
            Type::Bytes => Value::Bytes(self.one_of(&[vec![], vec![0, 255]]).unwrap_or_default().into()),
            Type::Enum(symbols) => Value::text(&self.one_of(symbols).unwrap_or_default()),
            Type::Decimal(type_) => {
                let known = self.one_of(&self.texts.clone()).and_then(|text| type_.parse(&text).ok());
                let small = [self.one_of(&[0_u8, 1, 255]).unwrap_or_default()];
                known
                    .or_else(|| type_.from_bytes(&small).ok())
                    .map_or(Value::Null, |known| Value::text(&known.to_string()))
            }
            Type::Uuid { .. } => {
                let known = self.one_of(&self.texts.clone()).filter(|text| parse_uuid(text).is_ok());
                Value::text(known.as_deref().unwrap_or(UUIDS[self.below(UUIDS.len())]))
            }
            Type::List(inner) => {
                let length = self.one_of(&[0, 1, 1, 2, 3]).unwrap_or_default();
                Value::list((0..length).map(|_| self.value(inner)).collect())
            }
            Type::Map(inner) => {
                let length = self.below(3);
                let entries = (0..length).map(|_| (self.text(), self.value(inner)));
                Value::Map(entries.collect::<std::collections::BTreeMap<_, _>>().into())
            }
            Type::Record(record) => Value::record(record.fields.iter().map(|field| self.value(&field.type_)).collect()),
        }
    }

    fn int(&mut self) -> i64 {
        match self.below(20) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => -1,
            3 => 0,
            _ => self.one_of(&[1, 1, 2, 100]).unwrap_or_default(),
        }
    }

    fn text(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => "é ".repeat(300),
            2 => self.one_of(&self.texts.clone()).unwrap_or_default(),
            3..=5 => "EUR".to_owned(),
            _ => self.one_of(&["a", "b"]).unwrap_or_default().to_owned(),
        }
    }
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
