//! The checked rules of a log: what `domain.toml` says, ready to be evaluated.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millrace_schemas::RecordSchema;

use super::evaluate::{Let, Node};
use super::problem::At;
use super::template::Template;
use super::types::RecordType;

/// All rules of a log.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub states: Vec<StateType>,
    pub events: Vec<EventRules>,
    pub commands: Vec<CommandRules>,
    /// The place of an event in `events`, by its name.
    pub event_places: HashMap<String, u16>,
    /// The place of a command in `commands`, by its name.
    pub command_places: HashMap<String, u16>,
}

impl Rules {
    /// What is wrong with an event in a stream of this type; `None` where it may be.
    pub fn foreign_to(&self, event: u16, stream_type: &str) -> Option<String> {
        let EventRules { name, fold, .. } = &self.events[usize::from(event)];
        let belongs = &self.states[usize::from(fold.as_ref()?.state)].stream_type;
        (belongs != stream_type).then(|| format!("{name} belongs to streams of type {belongs}, not {stream_type}"))
    }
}

impl Rules {
    /// By event, the types of the streams that it comes to: the one whose state it changes, or else those that a command
    /// emits it to.
    pub fn stream_types_of_events(&self) -> BTreeMap<String, Vec<String>> {
        let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |event: &EventRules, stream_type: &String| {
            let known = types.entry(event.name.clone()).or_default();
            if !known.contains(stream_type) {
                known.push(stream_type.clone());
            }
        };
        for event in &self.events {
            if let Some(state) = event.fold.as_ref().and_then(|fold| self.states.get(usize::from(fold.state))) {
                add(event, &state.stream_type);
            }
        }
        for command in &self.commands {
            for emit in &command.emit {
                let event = self.events.get(usize::from(emit.event)).filter(|event| event.fold.is_none());
                if let (Some(event), Some(stream)) = (event, command.streams.get(emit.stream)) {
                    add(event, &stream.type_);
                }
            }
        }
        types
    }
}

/// The state of the streams of one type.
#[derive(Debug)]
pub(super) struct StateType {
    pub stream_type: String,
    pub type_: Arc<RecordType>,
}

/// An event of the log.
#[derive(Debug)]
pub(super) struct EventRules {
    pub name: String,
    pub type_: Arc<RecordType>,
    /// The newest version, which `type_` is made from.
    pub schema: &'static RecordSchema,
    /// How it changes its stream's state; `None` when it does not.
    pub fold: Option<Fold>,
}

/// The fields that an event sets. Its frame has the state in place 0 and the event in place 1.
#[derive(Debug)]
pub(super) struct Fold {
    /// The place of the state's type in [`Rules::states`].
    pub state: u16,
    pub sets: Vec<(u16, Node, At)>,
    pub slots: u16,
}

/// What a command's rules say.
#[derive(Debug)]
pub(super) struct CommandRules {
    pub name: String,
    pub type_: Arc<RecordType>,
    /// The list whose items are grouped by stream; there is one stream then.
    pub each: Option<(Node, At)>,
    pub streams: Vec<StreamRules>,
    pub lets: Vec<Let>,
    pub check: Vec<Reject>,
    pub reject: Vec<Reject>,
    pub emit: Vec<Emit>,
    pub slots: u16,
}

/// A stream of a command. Its state has the place [`STREAMS`] plus the stream's own in the frame.
#[derive(Debug)]
pub(super) struct StreamRules {
    pub id: Node,
    /// The type that the id must have, whose state the rules were checked with.
    pub type_: String,
    pub at: At,
    /// The state's type, for the state before the first event.
    pub state: Arc<RecordType>,
    pub expect: Option<Expect>,
}

/// What a stream must be before the command.
#[derive(Debug)]
pub(super) enum Expect {
    NoStream,
    StreamExists,
    /// At the version that the command says, or at any if that is null. With `each`, every item may say one.
    Version(Node, At),
}

/// A rule that refuses a command.
#[derive(Debug)]
pub(super) struct Reject {
    pub when: Node,
    pub code: String,
    pub message: Template,
    pub at: At,
}

/// An event of an accepted command.
#[derive(Debug)]
pub(super) struct Emit {
    /// The place of the event in [`Rules::events`].
    pub event: u16,
    /// The place of its stream among those of the command.
    pub stream: usize,
    pub when: Option<Node>,
    /// The event's fields, in their order.
    pub data: Vec<Node>,
    pub at: At,
}

/// The place of the command in a frame.
pub(super) const COMMAND: u16 = 0;
/// The place of the item, while `each` is grouped by stream.
pub(super) const ITEM: u16 = 1;
/// The place of the group's items.
pub(super) const ITEMS: u16 = 2;
/// The place of the state of the first group's stream.
pub(super) const FIRST: u16 = 3;
/// The place of the first stream's state; those of the other streams follow.
pub(super) const STREAMS: u16 = 4;
