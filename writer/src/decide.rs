//! Decides the commands of a batch in memory, one after the other, and gives their events their places in the log.

use std::collections::{BTreeMap, HashMap};

use millrace_schemas::{Outcome, OutcomeKind, StreamId, StreamVersion, Token};
use millrace_store::{AppendBatch, Head, Log, NewCommand, NewEvent};
use uuid::Uuid;

use crate::append::{Append, FinishedEvent};
use crate::cache::Versioned;
use crate::command::{Addressed, Body, Command};
use crate::encoder::{Encoder, Numbered};
use crate::{Domain, Rejection, WriterError};

/// Largest event, in bytes of its datum. Kafka's usual limit on a record is 1 MiB, headers included.
const MAX_EVENT: usize = 900_000;

/// Longest message of an outcome, in characters.
const MAX_MESSAGE: usize = 2_000;

/// A batch, half decided: each command sees the states that the commands before it have left.
pub struct Draft<'d, D: Domain> {
    domain: &'d D,
    log: &'d Log,
    encoder: &'d Encoder,
    /// The state of every stream that the batch needs, with the events decided so far.
    states: HashMap<StreamId, Versioned<D::State>>,
    /// The last event of each partition, decided events included.
    heads: BTreeMap<i32, Head>,
    batch: AppendBatch,
    /// The outcome of each command so far, still without the time of the commit.
    outcomes: Vec<Outcome>,
}

/// A decided batch, and what the writer may keep in memory once it is committed.
pub struct Decided<S> {
    /// The batch to append.
    pub batch: AppendBatch,
    /// The outcome of each command, still without the time of the commit.
    pub outcomes: Vec<Outcome>,
    /// The states of its streams after the batch.
    pub states: HashMap<StreamId, Versioned<S>>,
    /// The heads of its partitions after the batch.
    pub heads: BTreeMap<i32, Head>,
}

/// An event, encoded.
struct Encoded<E> {
    /// The index of its stream among those of the command.
    stream: usize,
    /// The event for the fold; `None` when the log has no rules, so that there is nothing to fold.
    event: Option<E>,
    datum: Vec<u8>,
    /// A number in the log.
    schema: i16,
    /// The id that the command's sender gave it.
    id: Option<Uuid>,
}

impl<'d, D: Domain> Draft<'d, D> {
    /// An empty batch on these states, which must be right up to these heads.
    pub fn new(
        domain: &'d D,
        log: &'d Log,
        encoder: &'d Encoder,
        states: HashMap<StreamId, Versioned<D::State>>,
        heads: BTreeMap<i32, Head>,
    ) -> Self {
        let batch = AppendBatch {
            heads: heads.values().copied().collect(),
            outcome_schema: encoder.outcome.number,
            ..AppendBatch::default()
        };
        Self { domain, log, encoder, states, heads, batch, outcomes: Vec::new() }
    }

    /// Decides one command.
    ///
    /// # Errors
    /// When its outcome does not fit the outcomes' schema, which is a fault of this program.
    pub fn decide(&mut self, command: &Command<D::Command>, addressed: &Addressed) -> Result<(), WriterError> {
        let streams = addressed.as_deref().unwrap_or_default();
        let decision = match addressed {
            Ok(_) => self.decision(command, streams),
            Err(rejection) => Err(rejection.clone()),
        };
        let mut outcome = Outcome {
            command_id: command.id.clone(),
            command_type: command.name(self.domain).to_owned(),
            outcome: OutcomeKind::Accepted,
            code: None,
            message: None,
            token: None,
            streams: Vec::new(),
            recorded_at: 0,
        };
        match decision {
            Ok(events) => outcome.token = self.take_in(events, command, streams),
            Err(rejection) => {
                outcome.outcome = rejection.outcome();
                outcome.code = Some(rejection.code.into_owned());
                outcome.message = Some(rejection.message.chars().take(MAX_MESSAGE).collect());
            }
        }
        let version = |stream: &StreamId| self.states.get(stream).map_or(0, |found| found.version);
        let versions = streams.iter().map(|id| StreamVersion { stream_id: id.to_string(), version: version(id) });
        outcome.streams = versions.collect();
        let datum = outcome.encode_without_time(self.encoder.outcome.schema)?;
        self.batch.commands.push(NewCommand { key: command.key, hash: command.hash, outcome: datum });
        self.outcomes.push(outcome);
        Ok(())
    }

    /// Ends the batch, which will also commit `next_offsets`, if the log still has `known_offsets`.
    pub fn finish(mut self, next_offsets: &[(i32, i64)], known_offsets: Vec<(i32, i64)>) -> Decided<D::State> {
        // With each partition's events in a row, Postgres writes few pages, and later reads few.
        self.batch.events.sort_by_key(|event| (event.partition, event.position));
        self.batch.next_offsets = next_offsets.to_vec();
        self.batch.known_offsets = known_offsets;
        Decided { batch: self.batch, outcomes: self.outcomes, states: self.states, heads: self.heads }
    }

    fn decision(
        &self,
        command: &Command<D::Command>,
        streams: &[StreamId],
    ) -> Result<Vec<Encoded<D::Event>>, Rejection> {
        let absent = Versioned::default();
        let found: Vec<&Versioned<D::State>> =
            streams.iter().map(|id| self.states.get(id).unwrap_or(&absent)).collect();
        for (index, (stream, found)) in streams.iter().zip(&found).enumerate() {
            if let Some(expected) = command.expected(index).find(|expected| !expected.matches(found.version)) {
                return Err(Rejection::version_conflict(stream, found.version, expected));
            }
        }
        match &command.body {
            Body::Decide(body) => {
                let states: Vec<&D::State> = found.iter().map(|found| &found.state).collect();
                self.domain.decide(body, &states).and_then(|events| {
                    let encode = |(stream, event): (usize, D::Event)| {
                        self.check_stream(stream, streams.len(), &event)?;
                        self.encode(stream, event)
                    };
                    events.into_iter().map(encode).collect::<Result<Vec<_>, _>>()
                })
            }
            Body::Append(append) => append.as_ref().map_err(Clone::clone).and_then(|append| self.finished(append)),
        }
    }

    /// The events of an `Append`.
    fn finished(&self, append: &Append) -> Result<Vec<Encoded<D::Event>>, Rejection> {
        let events = append.streams.iter().enumerate();
        let events = events.flat_map(|(stream, one)| one.events.iter().map(move |event| (stream, event)));
        let encoded = |(stream, event): (usize, &FinishedEvent)| {
            let FinishedEvent { schema: Numbered { number, schema }, datum, id } = event;
            let folded = self.domain.read_event(schema, datum).transpose();
            let folded = folded.map_err(|error| not_publishable(&schema.name, &error.to_string()))?;
            check_size(&schema.name, datum)?;
            Ok(Encoded { stream, event: folded, datum: datum.clone(), schema: *number, id: *id })
        };
        events.map(encoded).collect()
    }

    /// The rules may be a stranger's: a wrong index must refuse its command, not end the writer.
    fn check_stream(&self, stream: usize, streams: usize, event: &D::Event) -> Result<(), Rejection> {
        if stream < streams {
            return Ok(());
        }
        let problem =
            format!("the rules give it to stream {stream} of the command's {streams} streams, counted from 0");
        Err(not_publishable(self.domain.event_name(event), &problem))
    }

    fn encode(&self, stream: usize, event: D::Event) -> Result<Encoded<D::Event>, Rejection> {
        let name = self.domain.event_name(&event);
        let refused = |problem: &str| not_publishable(name, problem);
        let numbered = self.encoder.event(name).ok_or_else(|| refused("the log definition has no such event"))?;
        let datum = numbered.schema.encode(&event).map_err(|error| refused(&error.problem()))?;
        // The log must not have an event that readers can't read: it would halt every read model.
        numbered.schema.check(&datum).map_err(|error| refused(&error.to_string()))?;
        check_size(name, &datum)?;
        Ok(Encoded { stream, event: Some(event), datum, schema: numbered.number, id: None })
    }

    /// Gives the events of a command their places. Returns the outcome's token; `None` when there are no events.
    fn take_in(
        &mut self,
        events: Vec<Encoded<D::Event>>,
        command: &Command<D::Command>,
        streams: &[StreamId],
    ) -> Option<String> {
        let mut last_positions = BTreeMap::new();
        for Encoded { stream, event, datum, schema, id } in events {
            let stream_id = streams[stream].clone();
            let partition = self.log.partition_of(&stream_id);
            let state = self.states.entry(stream_id.clone()).or_default();
            if let Some(event) = &event {
                self.domain.evolve(&mut state.state, event);
            }
            state.version += 1;
            let event_id = id.unwrap_or_else(Uuid::now_v7);
            let head = self.heads.entry(partition).or_insert(Head::empty(partition));
            *head = Head { partition, position: head.position + 1, event_id };
            last_positions.insert(partition, head.position);
            self.batch.events.push(NewEvent {
                partition,
                position: head.position,
                stream_id,
                version: state.version,
                event_id,
                schema,
                datum,
                metadata: command.metadata.clone(),
            });
        }
        let log = self.log.name();
        let tokens = last_positions
            .into_iter()
            .map(|(partition, position)| Token { log: log.clone(), partition, position }.to_string());
        let tokens: Vec<String> = tokens.collect();
        (!tokens.is_empty()).then(|| tokens.join(","))
    }
}

fn check_size(event: &str, datum: &[u8]) -> Result<(), Rejection> {
    if datum.len() > MAX_EVENT {
        return Err(not_publishable(event, &format!("it has {} bytes, more than {MAX_EVENT}", datum.len())));
    }
    Ok(())
}

fn not_publishable(event: &str, problem: &str) -> Rejection {
    Rejection::new("not_publishable", format!("{event} can't be published: {problem}."))
}
