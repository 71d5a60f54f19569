//! Cases: given these events, when this command comes, then these events follow, or this rejection.

use std::collections::HashMap;
use std::fmt::Write;

use millrace_schemas::{RecordSchema, StreamId, Topic};
use serde_json::Value as Json;

use super::DeclaredDomain;
use super::avro::RecordReader;
use super::event::{DeclaredCommand, DeclaredEvent};
use super::problem::{At, Problems, RulesError};
use super::state::DeclaredState;
use super::tree::{self, Keys, Sourced, Tree};
use super::types::list;
use crate::{Domain, Rejection};

/// What a command comes to: events with their streams and data, or a rejection.
type Came = Result<Vec<(StreamId, String, Json)>, Rejection>;

impl DeclaredDomain {
    /// Runs the cases of a file against the rules; returns how many there are. `file` is its name in messages.
    ///
    /// ```toml
    /// [[case]]
    /// name = "an order is placed once"
    /// given = [{ stream = "order-7", event = "OrderPlaced", data = { order_id = "7" } }]
    /// when = { command = "PlaceOrder", data = { order_id = "7" } }
    /// rejected = { code = "order_exists" }      # or then = [{ stream = …, event = …, data = { … } }]
    /// ```
    ///
    /// # Errors
    /// Every case that has not this form, names something that does not exist, or contradicts the rules, with what it
    /// expected and what came.
    pub fn check_cases(&self, file: &str, text: &str) -> Result<usize, RulesError> {
        let mut problems = Problems::new(file);
        let cases = tree::parse(text, &mut problems).map_or_else(Vec::new, |tree| {
            let mut keys = tree.keys(&mut problems);
            let cases = keys.list("case", &mut problems);
            if cases.is_empty() {
                problems.add(&keys.at, "there are no cases: add [[case]]");
            }
            keys.end(&mut problems);
            cases
        });
        let count = cases.len();
        for case in cases {
            self.check_case(case, &mut problems);
        }
        problems.or(count)
    }

    fn check_case(&self, case: Tree, problems: &mut Problems) {
        let mut keys = case.keys(problems);
        let name = keys.needed("name", problems).map_or_else(String::new, |name| name.text);
        let mut states = HashMap::new();
        let mut is_sound = true;
        for given in keys.list("given", problems) {
            match self.event(given, problems) {
                Some((id, event)) => self.evolve(states.entry(id).or_insert_with(DeclaredState::default), &event),
                None => is_sound = false,
            }
        }
        let at = keys.at.clone();
        let command = match keys.take("when") {
            Some(tree) => self.command(tree, problems),
            None => {
                problems.add(&at, "the key `when` is missing");
                None
            }
        };
        let expected = self.expected(&mut keys, problems);
        keys.end(problems);
        // from a past without some of its events, anything may come
        let (true, Some(command), Some(expected)) = (is_sound, command, expected) else { return };
        let came = self.came(&command, &states);
        if !agrees(&expected, &came) {
            let (expected, came) = (shown(&expected), shown(&came));
            let problem =
                format!("the case {name:?} contradicts the rules\n  expected: {expected}\n  came:     {came}");
            problems.add(&at, problem);
        }
    }

    /// What the case expects; an empty message stands for any.
    fn expected(&self, keys: &mut Keys, problems: &mut Problems) -> Option<Came> {
        match (keys.take("then"), keys.take("rejected")) {
            (Some(then), None) => {
                let events = then.items(problems).into_iter().map(|tree| {
                    let (id, event) = self.event(tree, problems)?;
                    Some(self.shown_event(id, &event))
                });
                events.collect::<Option<_>>().map(Ok)
            }
            (None, Some(rejected)) => {
                let mut rejected = rejected.keys(problems);
                let code = rejected.needed("code", problems);
                let message = rejected.text("message", problems).map_or_else(String::new, |message| message.text);
                rejected.end(problems);
                Some(Err(Rejection::new(code?.text, message)))
            }
            _ => {
                problems.add(&keys.at, "a case has either `then`, the events, or `rejected`, { code = … }");
                None
            }
        }
    }

    fn came(&self, command: &DeclaredCommand, states: &HashMap<StreamId, DeclaredState>) -> Came {
        let streams = self.streams(command)?;
        let found: Vec<DeclaredState> = streams.iter().map(|id| states.get(id).cloned().unwrap_or_default()).collect();
        let events = self.decide(command, &found.iter().collect::<Vec<_>>())?;
        Ok(events.iter().map(|(stream, event)| self.shown_event(streams[*stream].clone(), event)).collect())
    }

    fn shown_event(&self, id: StreamId, event: &DeclaredEvent) -> (StreamId, String, Json) {
        let schema = self.rules.events[usize::from(event.event)].schema;
        let json = schema.encode(event).map_err(|error| error.to_string());
        let json = json.and_then(|datum| schema.readable_json(&datum).map_err(|error| error.to_string()));
        (id, schema.name.clone(), json.unwrap_or_else(Json::String))
    }

    fn event(&self, tree: Tree, problems: &mut Problems) -> Option<(StreamId, DeclaredEvent)> {
        let mut keys = tree.keys(problems);
        let (stream, event) = (keys.needed("stream", problems), keys.needed("event", problems));
        let data = keys.take("data");
        let at = keys.at.clone();
        keys.end(problems);
        let (stream, event) = (stream?, event?);
        let id = stream.text.parse::<StreamId>();
        let id = id.map_err(|error| problems.add(&stream.at, error.to_string())).ok()?;
        let schema = self.schema(Topic::Events, &event, problems)?;
        let place = *self.rules.event_places.get(&schema.name)?;
        self.check_stream(&id, place, &stream.at, problems)?;
        let type_ = self.rules.events[usize::from(place)].type_.clone();
        let datum = datum(schema, data, &at, problems)?;
        let fields = schema.decode_with(&datum, RecordReader(&type_));
        let fields = fields.map_err(|error| problems.add(&at, error.to_string())).ok()?;
        Some((id, DeclaredEvent { event: place, type_, fields }))
    }

    /// Checks that the log has such streams, and that the event belongs to them.
    fn check_stream(&self, id: &StreamId, event: u16, at: &At, problems: &mut Problems) -> Option<()> {
        let (types, own) = (&self.definition.stream_types, id.stream_type());
        if !types.iter().any(|known| known == own) {
            problems.add(
                at,
                format!("the log has no streams of type {own}; there are: {}", list(types.iter().map(String::as_str))),
            );
            return None;
        }
        match self.rules.foreign_to(event, own) {
            Some(problem) => {
                problems.add(at, problem);
                None
            }
            None => Some(()),
        }
    }

    fn command(&self, tree: Tree, problems: &mut Problems) -> Option<DeclaredCommand> {
        let mut keys = tree.keys(problems);
        let (command, data) = (keys.needed("command", problems), keys.take("data"));
        let at = keys.at.clone();
        keys.end(problems);
        let schema = self.schema(Topic::Commands, &command?, problems)?;
        let place = *self.rules.command_places.get(&schema.name)?;
        let datum = datum(schema, data, &at, problems)?;
        let fields = schema.decode_with(&datum, RecordReader(&self.rules.commands[usize::from(place)].type_));
        let fields = fields.map_err(|error| problems.add(&at, error.to_string())).ok()?;
        Some(DeclaredCommand { command: place, fields, addressed: Default::default() })
    }

    fn schema(&self, topic: Topic, name: &Sourced, problems: &mut Problems) -> Option<&'static RecordSchema> {
        let found = self.definition.record(topic, &name.text).map(|record| record.unregistered());
        if found.is_none() {
            let records = self.definition.records().iter().filter(|record| record.topic == topic);
            let names = list(records.map(|record| &*record.name));
            problems.add(&name.at, format!("the log's {} have no {}; there are: {names}", topic.as_str(), name.text));
        }
        found
    }
}

fn datum(schema: &RecordSchema, data: Option<Tree>, at: &At, problems: &mut Problems) -> Option<Vec<u8>> {
    let json = data.map_or_else(|| Json::Object(serde_json::Map::new()), |data| data.json());
    schema.encode_json(&json).map_err(|error| problems.add(at, error.to_string())).ok()
}

fn agrees(expected: &Came, came: &Came) -> bool {
    match (expected, came) {
        (Err(expected), Err(came)) => {
            expected.code == came.code && (expected.message.is_empty() || expected.message == came.message)
        }
        (expected, came) => expected == came,
    }
}

fn shown(came: &Came) -> String {
    match came {
        Err(rejection) => format!("rejected, {}: {}", rejection.code, rejection.message),
        Ok(events) if events.is_empty() => "no events".to_owned(),
        Ok(events) => events.iter().fold(String::new(), |mut text, (stream, event, data)| {
            let joint = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{joint}{stream} {event} {data}");
            text
        }),
    }
}
