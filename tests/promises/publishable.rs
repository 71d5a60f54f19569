//! Promise 8: nothing commits that cannot be published.

use std::sync::Arc;

use millrace_domains::ledger::{Ledger, LedgerCommand};
use millrace_runtime::{Health, Shutdown};
use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, StreamId};
use millrace_writer::{Domain, Rejection};
use serde_json::json;

use crate::client::{Client, JsonCommand};
use crate::world::{World, stream};

crate::promises![an_event_that_its_schema_cannot_encode_is_refused_before_the_commit];

/// A domain with a fault: it decides events that do not fit their schema, or are too large for Kafka.
struct Faulty;

impl Domain for Faulty {
    type Command = LedgerCommand;
    type Event = serde_json::Value;
    type State = ();

    fn definition(&self) -> &LogDefinition {
        Ledger.definition()
    }

    fn read_command(&self, received: &Received<'_>) -> Option<Result<LedgerCommand, DecodeError>> {
        Ledger.read_command(received)
    }

    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<serde_json::Value, DecodeError>> {
        Some(schema.json(datum))
    }

    fn command_name(&self, command: &LedgerCommand) -> &str {
        command.name()
    }

    fn event_name(&self, _: &serde_json::Value) -> &str {
        "AccountClosed"
    }

    fn streams(&self, _: &LedgerCommand) -> Result<Vec<StreamId>, Rejection> {
        Ok(vec![stream("account-one"), stream("account-two")])
    }

    fn decide(&self, command: &LedgerCommand, _: &[&()]) -> Result<Vec<(usize, serde_json::Value)>, Rejection> {
        let LedgerCommand::CloseAccount(close) = command else { return Ok(vec![]) };
        let sound = json!({"account_id": "one"});
        let second = match close.account_id.as_str() {
            "wrong type" => json!({"account_id": 2}),
            "missing" => json!({}),
            "unknown field" => json!({"account_id": "two", "more": 1}),
            "too large" => json!({"account_id": "x".repeat(1_000_000)}),
            _ => sound.clone(),
        };
        let place = if close.account_id == "third stream" { 2 } else { 1 };
        Ok(vec![(0, sound), (place, second)])
    }

    fn evolve(&self, (): &mut (), _: &serde_json::Value) {}
}

async fn an_event_that_its_schema_cannot_encode_is_refused_before_the_commit(world: World) {
    let _relay = world.service(&["relay"]).await;
    let (shutdown, settings) = (Shutdown::new(), world.settings.clone());
    let stop = shutdown.clone();
    // on its own thread, because the writer's future is not `Send`
    let writer = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(millrace_writer::run(Arc::new(Faulty), &settings, Health::default(), stop))
    });
    let client = Client::new(&world);
    let bad = [
        ("wrong type", "account_id: expected a text, found an integer"),
        ("missing", "account_id: the field is missing"),
        ("unknown field", "AccountClosed has no field \"more\"; it has: account_id"),
        ("too large", "it has 1000003 bytes, more than 900000"),
        ("third stream", "the rules give it to stream 2 of the command's 2 streams, counted from 0"),
    ];
    for (n, (kind, _)) in bad.iter().enumerate() {
        client.send(&JsonCommand::close(format!("bad-{n}"), kind)).await;
    }
    client.send(&JsonCommand::close("good", "fine")).await;
    for (n, (_, problem)) in bad.iter().enumerate() {
        let outcome = world.outcome(&format!("bad-{n}")).await;
        assert_eq!(
            (&outcome["outcome"], &outcome["code"]),
            (&"rejected".into(), &"not_publishable".into()),
            "{outcome}"
        );
        assert_eq!(outcome["message"], format!("AccountClosed can't be published: {problem}."));
    }
    assert_eq!(world.outcome("good").await["outcome"], "accepted");
    let published = client.read_at_least(&world.log.events_topic(), 2).await;
    let pool = world.pool(1);
    let row = pool.get().await.expect("Postgres").query_one("SELECT count(*) FROM events", &[]).await.expect("events");
    assert_eq!((published.len(), row.get::<_, i64>(0)), (2, 2), "only the good command's events are there");
    shutdown.cancel();
    writer.join().expect("the writer").expect("it leaves");
}
