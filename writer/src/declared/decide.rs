//! Decides commands by checked rules.

use std::collections::HashMap;

use millrace_schemas::{ExpectedVersion, StreamId};

use super::evaluate::{Fault, Frame};
use super::event::{Addressed, DeclaredCommand, DeclaredEvent};
use super::problem::At;
use super::rules::{COMMAND, CommandRules, Expect, FIRST, ITEM, ITEMS, Reject, Rules, STREAMS, StreamRules};
use super::state::DeclaredState;
use super::steps::Steps;
use super::value::Value;
use crate::Rejection;

/// Why a command is refused.
#[derive(Debug)]
pub(super) enum Refusal<'r> {
    /// A rule of the log says so; its place, unless it is about the command's own form.
    Rule(Option<&'r At>, Rejection),
    /// A rule has no value.
    Fault(&'r At, Fault),
}

impl From<Refusal<'_>> for Rejection {
    fn from(refusal: Refusal<'_>) -> Self {
        match refusal {
            Refusal::Rule(_, rejection) => rejection,
            Refusal::Fault(at, fault) => {
                let code = match fault {
                    Fault::Overflow => "overflow",
                    Fault::TooCostly => "rules_too_costly",
                    Fault::Failed(_) => "rule_failed",
                };
                Self::new(code, format!("The rule {} can't be evaluated: {}.", at.field, fault.words()))
            }
        }
    }
}

/// The streams of a command, after its `check` rules.
pub(super) fn address<'r>(
    rules: &'r CommandRules,
    command: &DeclaredCommand,
    steps: &mut Steps,
) -> Result<Addressed, Refusal<'r>> {
    let mut frame = Frame::new(rules.slots, &rules.lets, steps);
    frame.slots[usize::from(COMMAND)] = command.fields.clone();
    refuse(&rules.check, &mut frame)?;
    let mut addressed = Addressed { streams: Vec::new(), places: Vec::new(), groups: Vec::new() };
    let (Some((each, at)), [stream]) = (&rules.each, &*rules.streams) else {
        for stream in &rules.streams {
            let id = stream_id(stream, &mut frame)?;
            let known = addressed.streams.iter().position(|known| *known == id);
            addressed.places.push(known.unwrap_or(addressed.streams.len()));
            if known.is_none() {
                addressed.streams.push(id);
            }
        }
        return Ok(addressed);
    };
    let items = frame.value(each).map_err(|fault| Refusal::Fault(at, fault))?;
    group(items, stream, &mut frame, &mut addressed)?;
    Ok(addressed)
}

/// Groups items by their stream, in the order of first appearance.
fn group<'r>(
    items: Value,
    stream: &'r StreamRules,
    frame: &mut Frame<'_>,
    addressed: &mut Addressed,
) -> Result<(), Refusal<'r>> {
    let Value::List(items) = items else {
        return Err(Refusal::Fault(&stream.at, Fault::failed("`each` is not a list")));
    };
    let mut places: HashMap<StreamId, usize> = HashMap::with_capacity(items.len());
    let mut groups: Vec<Vec<Value>> = Vec::with_capacity(items.len());
    for item in items.iter() {
        frame.slots[usize::from(ITEM)] = item.clone();
        let id = stream_id(stream, frame)?;
        let place = *places.entry(id).or_insert_with_key(|id| {
            addressed.streams.push(id.clone());
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(item.clone());
    }
    if groups.is_empty() {
        return Err(Refusal::Rule(
            None,
            Rejection::new("no_streams", "The command names no stream: its list is empty."),
        ));
    }
    addressed.groups = groups.into_iter().map(Value::list).collect();
    Ok(())
}

fn stream_id<'r>(stream: &'r StreamRules, frame: &mut Frame<'_>) -> Result<StreamId, Refusal<'r>> {
    let id = frame.value(&stream.id).map_err(|fault| Refusal::Fault(&stream.at, fault))?;
    // the text is read, copied and looked up
    frame.steps.charge(4 + id.text_weight()).map_err(|fault| Refusal::Fault(&stream.at, fault))?;
    let invalid = |message: String| Refusal::Rule(None, Rejection::new("invalid_stream_id", message));
    let id: StreamId = id.to_string().parse().map_err(|error| invalid(format!("{error}.")))?;
    // the rules were checked with the state of this type
    if id.stream_type() != stream.type_ {
        let (rule, type_) = (&stream.at.field, &stream.type_);
        return Err(invalid(format!("The rule {rule} names the stream {id}, which is not of the type {type_}.")));
    }
    Ok(id)
}

fn refuse<'r>(rejects: &'r [Reject], frame: &mut Frame<'_>) -> Result<(), Refusal<'r>> {
    for rule in rejects {
        if frame.bool(&rule.when).map_err(|fault| Refusal::Fault(&rule.at, fault))? {
            let message = rule.message.fill(frame);
            return Err(Refusal::Rule(Some(&rule.at), Rejection::new(rule.code.clone(), message)));
        }
    }
    Ok(())
}

/// A decision under way.
struct Decision<'r, 's> {
    rules: &'r Rules,
    command: &'r CommandRules,
    streams: &'s [StreamId],
    states: &'s [&'s DeclaredState],
    frame: Frame<'s>,
    events: Vec<(usize, DeclaredEvent)>,
}

/// The events of a command, each with the place of its stream.
pub(super) fn decide<'r>(
    rules: &'r Rules,
    command: &DeclaredCommand,
    addressed: &Addressed,
    states: &[&DeclaredState],
    steps: &mut Steps,
) -> Result<Vec<(usize, DeclaredEvent)>, Refusal<'r>> {
    let command_rules = &rules.commands[usize::from(command.command)];
    let mut frame = Frame::new(command_rules.slots, &command_rules.lets, steps);
    frame.slots[usize::from(COMMAND)] = command.fields.clone();
    let streams = &addressed.streams;
    let mut decision = Decision { rules, command: command_rules, streams, states, frame, events: Vec::new() };
    if addressed.groups.is_empty() {
        decision.at_once(&addressed.places)?;
    } else {
        decision.by_group(&addressed.groups)?;
    }
    decision.try_folds()?;
    Ok(decision.events)
}

impl<'r> Decision<'r, '_> {
    fn at_once(&mut self, places: &[usize]) -> Result<(), Refusal<'r>> {
        for ((slot, rules), place) in (STREAMS..).zip(&self.command.streams).zip(places) {
            self.meet(rules, *place, slot)?;
            self.check_version(rules, *place)?;
        }
        refuse(&self.command.reject, &mut self.frame)?;
        self.emit(places)
    }

    fn by_group(&mut self, groups: &[Value]) -> Result<(), Refusal<'r>> {
        let [stream] = &*self.command.streams else { return Ok(()) };
        for (place, items) in groups.iter().enumerate() {
            let group = stream.state.fields.len() + self.command.lets.len();
            self.frame.steps.charge(1 + group as u64 / 4).map_err(|fault| Refusal::Fault(&stream.at, fault))?;
            self.frame.forget();
            self.meet(stream, place, STREAMS)?;
            self.check_versions(stream, place, items)?;
            if place == 0 {
                self.frame.slots[usize::from(FIRST)] = self.frame.slots[usize::from(STREAMS)].clone();
            }
            self.frame.slots[usize::from(ITEMS)] = items.clone();
            refuse(&self.command.reject, &mut self.frame)?;
            self.emit(&[place])?;
        }
        Ok(())
    }

    /// Puts a stream's state into the frame, if it is as the rules expect it.
    fn meet(&mut self, rules: &'r StreamRules, place: usize, slot: u16) -> Result<(), Refusal<'r>> {
        let (state, id) = (self.states[place], &self.streams[place]);
        if let Some(fault) = state.fault() {
            let message = format!("The state of stream {id} is not known: {fault}.");
            return Err(Refusal::Rule(None, Rejection::new("rule_failed", message)));
        }
        match rules.expect {
            Some(Expect::NoStream) if state.version() > 0 => Err(Refusal::Rule(
                Some(&rules.at),
                Rejection::new("stream_exists", format!("Stream {id} exists already.")),
            )),
            Some(Expect::StreamExists) if state.version() == 0 => Err(Refusal::Rule(
                Some(&rules.at),
                Rejection::new("stream_missing", format!("Stream {id} does not exist.")),
            )),
            _ => {
                self.frame.slots[usize::from(slot)] = state.value(&rules.state);
                Ok(())
            }
        }
    }

    /// Checks that a stream is at the version that the command, or with `each` an item, says.
    fn check_version(&mut self, rules: &'r StreamRules, place: usize) -> Result<(), Refusal<'r>> {
        let Some(Expect::Version(node, at)) = &rules.expect else { return Ok(()) };
        let (actual, id) = (self.states[place].version(), &self.streams[place]);
        let said = self.frame.value(node).map_err(|fault| Refusal::Fault(at, fault))?;
        let expected = match said {
            Value::Int(version) if version >= 0 => ExpectedVersion::at(version),
            Value::Int(version) => {
                let message = format!("The command expects version {version} of stream {id}; versions are 0 or more.");
                return Err(Refusal::Rule(None, Rejection::new("invalid_expected_version", message)));
            }
            _ => ExpectedVersion::Any,
        };
        if expected.matches(actual) {
            return Ok(());
        }
        Err(Refusal::Rule(Some(at), Rejection::version_conflict(id, actual, expected)))
    }

    /// Checks the versions that the items of a group say.
    fn check_versions(&mut self, rules: &'r StreamRules, place: usize, items: &Value) -> Result<(), Refusal<'r>> {
        let (Some(Expect::Version(..)), Value::List(items)) = (&rules.expect, items) else { return Ok(()) };
        for item in items.iter() {
            self.frame.slots[usize::from(ITEM)] = item.clone();
            self.check_version(rules, place)?;
        }
        Ok(())
    }

    fn emit(&mut self, places: &[usize]) -> Result<(), Refusal<'r>> {
        let command = self.command;
        for rule in &command.emit {
            let fault = |fault| Refusal::Fault(&rule.at, fault);
            let frame = &mut self.frame;
            if !rule.when.as_ref().map_or(Ok(true), |when| frame.bool(when)).map_err(fault)? {
                continue;
            }
            let fields = rule.data.iter().map(|node| frame.value(node)).collect::<Result<_, _>>().map_err(fault)?;
            let fields = Value::record(fields);
            frame.steps.weigh(&fields).map_err(fault)?; // it will be encoded
            let type_ = self.rules.events[usize::from(rule.event)].type_.clone();
            self.events.push((places[rule.stream], DeclaredEvent { event: rule.event, type_, fields }));
        }
        Ok(())
    }

    /// Folds the events into copies of their streams' states: an event that could not be folded must not be accepted.
    fn try_folds(&mut self) -> Result<(), Refusal<'r>> {
        let mut states: Vec<Option<DeclaredState>> = vec![None; self.states.len()];
        for (stream, event) in &self.events {
            let state = states[*stream].get_or_insert_with(|| self.states[*stream].clone());
            state.fold(self.rules, event, self.frame.steps).map_err(|(at, fault)| Refusal::Fault(at, fault))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};

    use super::super::evaluate::Node;
    use super::super::types::RecordType;
    use super::*;

    #[test]
    fn an_id_of_another_type_than_the_rules_were_checked_with_rejects_the_command() {
        let type_ = || Arc::new(RecordType { name: String::new(), fields: Vec::new(), is_state: false });
        let rules = |id: &str| CommandRules {
            name: "PlaceOrder".to_owned(),
            type_: type_(),
            each: None,
            streams: vec![StreamRules {
                id: Node::Constant(Value::text(id)),
                type_: "order".to_owned(),
                at: At { line: 1, field: "commands.PlaceOrder.stream".to_owned() },
                state: type_(),
                expect: None,
            }],
            lets: Vec::new(),
            check: Vec::new(),
            reject: Vec::new(),
            emit: Vec::new(),
            slots: STREAMS + 1,
        };
        let command = DeclaredCommand { command: 0, fields: Value::record(Vec::new()), addressed: OnceLock::new() };
        assert!(address(&rules("order-1"), &command, &mut Steps::default()).is_ok());
        let refused = Rejection::from(address(&rules("foo-1"), &command, &mut Steps::default()).unwrap_err());
        assert_eq!(
            (&*refused.code, &*refused.message),
            (
                "invalid_stream_id",
                "The rule commands.PlaceOrder.stream names the stream foo-1, which is not of the type order."
            )
        );
    }
}
