//! The state of a stream, folded by declared rules.

use std::sync::Arc;

use super::evaluate::{Fault, Frame};
use super::event::DeclaredEvent;
use super::problem::At;
use super::rules::{Fold, Rules};
use super::steps::Steps;
use super::types::RecordType;
use super::value::Value;

/// The state of a stream under declared rules. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct DeclaredState {
    /// The place of its type in [`Rules::states`]; `None` before the first event that the rules fold.
    kind: Option<u16>,
    fields: Value,
    /// How many events the stream has.
    version: i64,
    /// Why an event could not be folded. No command is decided on such a state.
    fault: Option<Arc<str>>,
}

impl DeclaredState {
    /// The value that expressions see.
    pub(super) fn value(&self, type_: &RecordType) -> Value {
        match self.kind {
            Some(_) => self.fields.clone(),
            None => Value::record(vec![Value::Absent; type_.fields.len()]),
        }
    }

    pub(super) fn version(&self) -> i64 {
        self.version
    }

    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Folds an event that was decided before. One that the rules can't fold leaves a fault in the state.
    pub(super) fn evolve(&mut self, rules: &Rules, event: &DeclaredEvent) {
        if let Err((at, fault)) = self.fold(rules, event, &mut Steps::default()) {
            let name = &rules.events[usize::from(event.event)].name;
            let at = if at.field.is_empty() { name } else { &at.field };
            self.fault.get_or_insert_with(|| format!("{at} can't fold an event {name}: {}", fault.words()).into());
        }
    }

    /// Folds an event.
    ///
    /// # Errors
    /// When an expression has no value; the state has its old fields then.
    pub(super) fn fold<'r>(
        &mut self,
        rules: &'r Rules,
        event: &DeclaredEvent,
        steps: &mut Steps,
    ) -> Result<(), (&'r At, Fault)> {
        static WHOLE: At = At { line: 1, field: String::new() };
        self.version += 1;
        let Some(fold) = &rules.events[usize::from(event.event)].fold else { return Ok(()) };
        let type_ = &rules.states[usize::from(fold.state)].type_;
        if self.kind.is_some_and(|kind| kind != fold.state) {
            return Err((&WHOLE, Fault::failed("it belongs to streams of another type")));
        }
        self.fields = folded(fold, self.value(type_), event, steps)?;
        self.kind = Some(fold.state);
        Ok(())
    }
}

fn folded<'r>(
    fold: &'r Fold,
    state: Value,
    event: &DeclaredEvent,
    steps: &mut Steps,
) -> Result<Value, (&'r At, Fault)> {
    let mut fields = match &state {
        Value::Record(fields) => fields.to_vec(),
        _ => Vec::new(),
    };
    if let Some((_, _, at)) = fold.sets.first() {
        // the state and the frame are made anew
        steps.charge((fields.len() as u64 + u64::from(fold.slots)) / 4).map_err(|fault| (at, fault))?;
    }
    let mut frame = Frame::new(fold.slots, &[], steps);
    frame.slots[0] = state;
    frame.slots[1] = event.fields.clone();
    for (field, node, at) in &fold.sets {
        let value = frame.value(node).map_err(|fault| (at, fault))?;
        if let Some(set) = fields.get_mut(usize::from(*field)) {
            *set = value;
        }
    }
    Ok(Value::record(fields))
}
