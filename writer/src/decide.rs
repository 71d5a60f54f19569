//! Deciding commands in memory, each on what those before it have made.

use std::collections::HashMap;

use millrace_schemas::{Codec, ExpectedVersion, NewEvent, OutcomeKind, StreamId};
use millrace_store::{Append, Check};
use uuid::Uuid;

use crate::command::Command;
use crate::states::Versioned;
use crate::{Domain, Rejection};

/// Largest event, in bytes of its encoded value. Kafka's usual limit on a record is 1 MiB, headers included.
const MAX_EVENT: usize = 900_000;

/// What is known of a command before any state: the streams it needs, or that it breaks a rule.
pub type Addressed = Result<Vec<StreamId>, Rejection>;

/// Decides one command and takes its events into `states`, which must hold every stream it needs.
pub fn decide<D: Domain>(
    codec: &Codec,
    command: &Command<D::Command>,
    addressed: &Addressed,
    states: &mut HashMap<StreamId, Versioned<D::State>>,
) -> Append {
    let streams = addressed.as_deref().unwrap_or_default();
    let versions: Vec<i64> = streams.iter().map(|id| states.get(id).map_or(0, |found| found.version)).collect();
    let decision = match addressed {
        Err(rejection) => Decision::Rejected(rejection.clone()),
        Ok(_) => decision::<D>(codec, command, streams, &versions, states),
    };
    let checks = streams.iter().zip(&versions);
    let checks = checks.map(|(stream, version)| Check {
        stream: stream.clone(),
        expected: ExpectedVersion::at(*version),
        events: Vec::new(),
    });
    let mut append = Append {
        command_id: command.id.clone(),
        command_type: D::command_name(&command.body),
        outcome: OutcomeKind::Accepted,
        code: None,
        message: None,
        metadata: command.metadata.clone(),
        checks: checks.collect(),
    };
    match decision {
        Decision::Accepted(events) => take_in::<D>(events, streams, states, &mut append),
        Decision::Rejected(rejection) => refuse(&mut append, OutcomeKind::Rejected, rejection),
        Decision::Conflict(rejection) => refuse(&mut append, OutcomeKind::Conflict, rejection),
    }
    append
}

enum Decision<E> {
    Accepted(Vec<(usize, E, NewEvent)>),
    Rejected(Rejection),
    Conflict(Rejection),
}

fn decision<D: Domain>(
    codec: &Codec,
    command: &Command<D::Command>,
    streams: &[StreamId],
    versions: &[i64],
    states: &HashMap<StreamId, Versioned<D::State>>,
) -> Decision<D::Event> {
    if let (Some(stream), Some(actual)) = (streams.first(), versions.first())
        && !command.expected.matches(*actual)
    {
        let expected = command.expected;
        let message = format!("Stream {stream} is at version {actual}; the command expected {expected}.");
        return Decision::Conflict(Rejection::new("version_conflict", message));
    }
    let absent = D::State::default();
    let states: Vec<&D::State> =
        streams.iter().map(|id| states.get(id).map_or(&absent, |found| &found.state)).collect();
    let encoded = D::decide(&command.body, &states).and_then(|events| {
        let encode = |(stream, event): (usize, D::Event)| encode::<D>(codec, &event).map(|new| (stream, event, new));
        events.into_iter().map(encode).collect::<Result<Vec<_>, _>>()
    });
    encoded.map_or_else(Decision::Rejected, Decision::Accepted)
}

/// The event as the log stores it, after a proof that it can be published.
fn encode<D: Domain>(codec: &Codec, event: &D::Event) -> Result<NewEvent, Rejection> {
    let name = D::event_name(event);
    let refused = |problem: String| Rejection::new("not_publishable", format!("{name} can't be published: {problem}."));
    let json = serde_json::to_string(event).map_err(|e| refused(e.to_string()))?;
    let value = codec.encode_event(name, &json).map_err(|e| refused(e.to_string()))?;
    if value.len() > MAX_EVENT {
        return Err(refused(format!("it has {} bytes, more than {MAX_EVENT}", value.len())));
    }
    Ok(NewEvent { event_id: Uuid::now_v7(), event_type: name, data: json })
}

fn take_in<D: Domain>(
    events: Vec<(usize, D::Event, NewEvent)>,
    streams: &[StreamId],
    states: &mut HashMap<StreamId, Versioned<D::State>>,
    append: &mut Append,
) {
    for (stream, event, new) in events {
        let state = states.entry(streams[stream].clone()).or_default();
        D::evolve(&mut state.state, &event);
        state.version += 1;
        append.checks[stream].events.push(new);
    }
}

fn refuse(append: &mut Append, outcome: OutcomeKind, rejection: Rejection) {
    append.outcome = outcome;
    append.code = Some(rejection.code.to_owned());
    append.message = Some(rejection.message);
}
