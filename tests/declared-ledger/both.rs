//! Decides commands by the Rust ledger and by the declared one, each with states of its own, and holds the outcomes
//! against each other.

use std::collections::HashMap;

use millrace_domains::ledger::{Ledger, LedgerCommand};
use millrace_schemas::{LogDefinition, Received, RecordSchema, StreamId, Topic};
use millrace_writer::{DeclaredDomain, Domain, Rejection};

const RULES: &str = include_str!("domain.toml");
/// The messages of these codes say more in Rust: which of its rules a text breaks, and the text, escaped.
const OTHER_MESSAGES: &[&str] = &["invalid_account_id", "invalid_entry_set_id", "invalid_currency"];

/// Whether an event is accepted, with stream, name and datum; or the rejection.
pub type Outcome = Result<Vec<(StreamId, String, Vec<u8>)>, Rejection>;

/// The states of all streams under one domain.
pub struct Book<D: Domain> {
    pub domain: D,
    pub states: HashMap<StreamId, D::State>,
}

/// The declared ledger.
pub fn declared_ledger() -> DeclaredDomain {
    let records = |topic| Ledger.definition().records().iter().filter(move |record| record.topic == topic);
    let texts = |topic| records(topic).map(|record| &*record.text).collect::<Vec<_>>();
    let definition = LogDefinition::parse("ledger", &texts(Topic::Commands), &texts(Topic::Events));
    let definition = definition.expect("the ledger's own schemas").with_stream_types(vec!["account".to_owned()]);
    let file = "tests/declared-ledger/domain.toml";
    let domain = DeclaredDomain::load(definition, file, RULES).unwrap_or_else(|error| panic!("{error}"));
    let untried = domain.check_generated(file, RULES).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(untried, []);
    domain
}

/// A command as both domains receive it.
pub fn received(command: &LedgerCommand) -> Received<'static> {
    let record = Ledger.definition().record(Topic::Commands, command.name()).expect("a command of the ledger");
    let json = serde_json::to_value(command).expect("a command is JSON");
    Received::from_json(record.unregistered(), &json).expect("a command fits its schema")
}

impl<D: Domain> Book<D> {
    pub fn new(domain: D) -> Self {
        Self { domain, states: HashMap::new() }
    }

    /// Decides a command and folds its events, through their data as a writer that loads them would.
    pub fn outcome(&mut self, received: &Received<'_>) -> Outcome {
        let command = self.domain.read_command(received).expect("a command of the domain").expect("its datum");
        let streams = self.domain.streams(&command)?;
        let states: Vec<D::State> = streams.iter().map(|id| self.states.get(id).cloned().unwrap_or_default()).collect();
        let events = self.domain.decide(&command, &states.iter().collect::<Vec<_>>())?;
        let events = events.into_iter().map(|(stream, event)| {
            let name = self.domain.event_name(&event).to_owned();
            let datum = schema(&name).encode(&event).expect("an event fits its schema");
            let read = self.domain.read_event(schema(&name), &datum).expect("an event of the domain");
            let state = self.states.entry(streams[stream].clone()).or_default();
            self.domain.evolve(state, &read.expect("its datum"));
            (streams[stream].clone(), name, datum)
        });
        Ok(events.collect())
    }
}

fn schema(name: &str) -> &'static RecordSchema {
    Ledger.definition().record(Topic::Events, name).expect("an event of the ledger").unregistered()
}

/// Panics unless the two outcomes are the same.
pub fn assert_same(rust: &Outcome, declared: &Outcome, received: &Received<'_>) {
    let same = match (rust, declared) {
        (Err(rust), Err(declared)) => {
            let other_message = OTHER_MESSAGES.contains(&&*rust.code)
                || (rust.code == "entries_not_balanced" && declared.message.contains('?'));
            rust.code == declared.code && (other_message || rust.message == declared.message)
        }
        (rust, declared) => rust == declared,
    };
    let json = || received.json().map(|json| json.to_string()).unwrap_or_default();
    assert!(same, "{}\nRust:     {rust:?}\ndeclared: {declared:?}", json());
}
