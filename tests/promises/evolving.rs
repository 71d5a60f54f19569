//! Newer writers beside older readers: an unknown field or event stops no running service.

use std::sync::{Arc, LazyLock};

use millrace_domains::ledger::{Ledger, LedgerCommand};
use millrace_runtime::{Health, Shutdown};
use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, Registry, StreamId};
use millrace_writer::{Domain, Rejection};
use serde_json::{Value, json};

use crate::client::{Client, JsonCommand};
use crate::world::{World, stream, wait_until};

crate::promises![a_new_field_and_a_new_event_type_of_a_newer_writer_stop_no_relay_and_no_projector];

/// A future ledger: entries have a channel, and accounts can be renamed.
struct Newer;

static DEFINITION: LazyLock<LogDefinition> = LazyLock::new(|| {
    let commands = [
        include_str!("../../schemas/ledger/commands/OpenAccount.avsc"),
        include_str!("../../schemas/ledger/commands/PostEntrySet.avsc"),
        include_str!("../../schemas/ledger/commands/CloseAccount.avsc"),
    ];
    let posted: Value =
        serde_json::from_str(include_str!("../../schemas/ledger/events/EntryPosted.avsc")).expect("JSON");
    let mut newer = posted.clone();
    let channel = json!({"name": "channel", "type": ["null", "string"], "default": null});
    newer["fields"].as_array_mut().expect("fields").push(channel);
    let renamed = r#"{"type": "record", "name": "AccountRenamed", "namespace": "millrace.ledger", "fields": [
        {"name": "account_id", "type": "string"}, {"name": "name", "type": "string"}]}"#;
    let opened = include_str!("../../schemas/ledger/events/AccountOpened.avsc");
    let closed = include_str!("../../schemas/ledger/events/AccountClosed.avsc");
    let newer: &'static str = newer.to_string().leak();
    LogDefinition::parse("ledger", &commands, &[opened, newer, renamed, closed]).expect("schemas")
});

impl Domain for Newer {
    type Command = LedgerCommand;
    type Event = Value;
    type State = ();

    fn definition(&self) -> &LogDefinition {
        &DEFINITION
    }

    fn read_command(&self, received: &Received<'_>) -> Option<Result<LedgerCommand, DecodeError>> {
        Ledger.read_command(received)
    }

    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<Value, DecodeError>> {
        Some(schema.json(datum))
    }

    fn command_name(&self, command: &LedgerCommand) -> &str {
        command.name()
    }

    fn event_name(&self, event: &Value) -> &str {
        if event.get("name").is_some() { "AccountRenamed" } else { "EntryPosted" }
    }

    fn streams(&self, _: &LedgerCommand) -> Result<Vec<StreamId>, Rejection> {
        Ok(vec![stream("account-a")])
    }

    fn decide(&self, command: &LedgerCommand, _: &[&()]) -> Result<Vec<(usize, Value)>, Rejection> {
        let LedgerCommand::PostEntrySet(set) = command else { return Ok(vec![]) };
        let renamed = json!({"account_id": "a", "name": "Alice"});
        let posted = json!({
            "entry_set_id": set.entry_set_id, "account_id": "a", "amount_minor": 5, "reporting_at": 0,
            "description": "by a newer writer", "currency": "CZK", "channel": "mobile",
        });
        Ok(vec![(0, renamed), (0, posted)])
    }

    fn evolve(&self, (): &mut (), _: &Value) {}
}

async fn a_new_field_and_a_new_event_type_of_a_newer_writer_stop_no_relay_and_no_projector(world: World) {
    // the services start before the new schemas are registered
    let mut services = world.pipeline().await;
    let client = Client::new(&world);
    client.send(&JsonCommand::open("open-a", "a", None)).await;
    world.wait_for_outcomes(1).await;
    wait_until("reporting shows the account", async || world.balance("a").await == Some(0)).await;
    services[0].leave().await;

    let registry = Registry::new(&world.stack.addresses().registry_url).expect("a registry");
    let statuses = registry.register(&world.log, &DEFINITION).await.expect("compatible");
    let db = world.pool(1).get().await.expect("Postgres");
    let registered = DEFINITION.records().iter().zip(&statuses);
    let registered = registered.map(|(record, status)| (record, status.id.expect("registered")));
    world.open_log().await.add_schemas(&db, registered).await.expect("Postgres");
    let (shutdown, settings) = (Shutdown::new(), world.settings.clone());
    let stop = shutdown.clone();
    let writer = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(millrace_writer::run(Arc::new(Newer), &settings, Health::default(), stop))
    });
    client.send(&JsonCommand::post("newer", &[("a", 1), ("b", -1)])).await;
    wait_until("reporting has the entry", async || world.balance("a").await == Some(5)).await;
    wait_until("search has the entry", async || {
        let (code, found) = world.try_millrace(&["search", "newer writer"]).await;
        code == 0 && found.contains("newer writer")
    })
    .await;
    world.audit().await;
    shutdown.cancel();
    writer.join().expect("the writer").expect("it leaves");
    let versions = "SELECT max(version)::bigint FROM schemas WHERE name = 'EntryPosted'";
    assert_eq!(db.query_one(versions, &[]).await.expect("schemas").get::<_, i64>(0), 2);
}
