//! Runs rules on generated commands, so that what types can't show is seen when rules are checked: a value that may be
//! null, a field of a state that no event has set yet, an index outside its list, a division by zero.
//!
//! The data is the same on every run, and follows what the rules ask for: `asked.rs`.

use std::collections::HashMap;
use std::sync::OnceLock;

use millrace_schemas::StreamId;

use super::asked::Asked;
use super::avro::Typed;
use super::decide::{Refusal, address, decide};
use super::evaluate::Fault;
use super::event::DeclaredCommand;
use super::problem::{At, Problems};
use super::rules::{CommandRules, Reject, Rules};
use super::source::Source;
use super::state::DeclaredState;
use super::steps::Steps;
use super::types::Type;

/// How many commands are generated at least, and of each kind on average.
const COMMANDS: usize = 4_000;
const COMMANDS_OF_ONE: usize = 200;
/// No more commands are generated after so many steps of evaluation, a few seconds.
const MAX_STEPS: u64 = 200_000_000;
/// After so many commands at least, streams begin anew.
const EPISODE: usize = 50;
/// Longest command in a message, in characters.
const MAX_SHOWN: usize = 500;

/// Decides generated commands on the states that earlier ones have left. `texts` are literals of the rules, which they
/// may wait for. Returns the rules that no command got past, each with a sentence that says so.
pub(super) fn run(rules: &Rules, texts: Vec<String>, problems: &mut Problems) -> Vec<(At, String)> {
    if rules.commands.is_empty() {
        return Vec::new();
    }
    let mut reached: Vec<Reached<'_>> = rules.commands.iter().map(|_| Reached::Nothing).collect();
    let mut source = Source::new(Asked::from_rules(rules), texts);
    let mut states: HashMap<StreamId, DeclaredState> = HashMap::new();
    let mut known: Vec<At> = Vec::new();
    let mut taken = 0;
    let count = rules.commands.len();
    // with many commands, each comes more than once an episode
    let episode = EPISODE.max(3 * count);
    for turn in 0..COMMANDS.max(COMMANDS_OF_ONE * count) {
        if turn % episode == 0 {
            states.clear();
            source.begin_episode();
        }
        let place = source.below(count);
        let type_ = Type::Record(rules.commands[place].type_.clone());
        let fields = source.command(&type_);
        let command = DeclaredCommand { command: place as u16, fields, addressed: OnceLock::new() };
        let mut steps = Steps::default();
        let came = play(rules, &command, &mut states, &mut steps);
        taken += steps.taken();
        if came.is_ok() {
            source.remember("", &type_, &command.fields);
        }
        reached[place].add(&rules.commands[place], &came);
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
            break;
        }
    }
    rules.commands.iter().zip(reached).filter_map(|(rules, reached)| reached.untried(rules)).collect()
}

/// How far the generated commands of one kind have come.
enum Reached<'r> {
    /// None was decided by a rule.
    Nothing,
    /// To this rule, in the order in which rules are asked; none was accepted.
    Refused(usize, &'r At),
    /// One was accepted.
    End,
}

impl<'r> Reached<'r> {
    fn add(&mut self, rules: &'r CommandRules, came: &Result<(), Refusal<'r>>) {
        let refused = match came {
            Ok(()) => {
                *self = Self::End;
                return;
            }
            Err(Refusal::Rule(None, _)) => return,
            Err(Refusal::Rule(Some(at), _) | Refusal::Fault(at, _)) => *at,
        };
        let place_in = |list: &'r [Reject]| list.iter().position(|rule| std::ptr::eq(&raw const rule.at, refused));
        // after `check`, the streams are held against what is expected of them, and then come the rules of `reject`
        let checks = rules.check.len();
        let place = place_in(&rules.check).or_else(|| Some(checks + 1 + place_in(&rules.reject)?)).unwrap_or(checks);
        match self {
            Self::Nothing => *self = Self::Refused(place, refused),
            Self::Refused(before, _) if *before < place => *self = Self::Refused(place, refused),
            _ => {}
        }
    }

    fn untried(self, rules: &CommandRules) -> Option<(At, String)> {
        let (at, note) = match self {
            Self::End => return None,
            Self::Refused(_, at) => {
                (at, "no generated command got past this rule, so those after it were tried by cases alone")
            }
            Self::Nothing => {
                let at = &rules.streams.first()?.at;
                (at, "no generated command named a stream that may be, so the rules were tried by cases alone")
            }
        };
        Some((at.clone(), note.to_owned()))
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
