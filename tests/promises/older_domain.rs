//! A writer with rules of its own, older than another writer of its log: as during a rolling deployment.

use std::sync::Arc;

use millrace_domains::ledger::{Ledger, LedgerCommand, LedgerEvent};
use millrace_runtime::{Health, Shutdown};
use millrace_schemas::{DecodeError, LogDefinition, Received, RecordSchema, StreamId};
use millrace_writer::{Domain, Rejection};

use crate::client::{Client, JsonCommand};
use crate::world::{World, wait_until};

crate::promises![a_writer_whose_rules_lack_an_event_waits_and_leaves_its_partitions_to_newer_writers];

type Account = <Ledger as Domain>::State;

/// The ledger before it had the event `AccountClosed`.
struct Older;

impl Domain for Older {
    type Command = LedgerCommand;
    type Event = LedgerEvent;
    type State = Account;

    fn definition(&self) -> &LogDefinition {
        Ledger.definition()
    }

    fn read_command(&self, received: &Received<'_>) -> Option<Result<LedgerCommand, DecodeError>> {
        Ledger.read_command(received)
    }

    fn read_event(&self, schema: &RecordSchema, datum: &[u8]) -> Option<Result<LedgerEvent, DecodeError>> {
        if schema.name == "AccountClosed" { None } else { Ledger.read_event(schema, datum) }
    }

    fn command_name(&self, command: &LedgerCommand) -> &str {
        command.name()
    }

    fn event_name(&self, event: &LedgerEvent) -> &str {
        event.name()
    }

    fn streams(&self, command: &LedgerCommand) -> Result<Vec<StreamId>, Rejection> {
        Ledger.streams(command)
    }

    fn decide(&self, command: &LedgerCommand, states: &[&Account]) -> Result<Vec<(usize, LedgerEvent)>, Rejection> {
        Ledger.decide(command, states)
    }

    fn evolve(&self, state: &mut Account, event: &LedgerEvent) {
        Ledger.evolve(state, event);
    }
}

async fn a_writer_whose_rules_lack_an_event_waits_and_leaves_its_partitions_to_newer_writers(world: World) {
    let client = Client::new(&world);
    let mut newer = world.service(&["writer"]).await;
    client.send_all(&[JsonCommand::open("open-a", "a", None), JsonCommand::close("close-a", "a")]).await;
    world.wait_for_outcomes(2).await;
    newer.leave().await;

    let (shutdown, health, settings) = (Shutdown::new(), Health::default(), world.settings.clone());
    let (stop, told) = (shutdown.clone(), health.clone());
    // on its own thread, because the writer's future is not `Send`
    let older = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(millrace_writer::run(Arc::new(Older), &settings, told, stop))
    });
    client.send(&JsonCommand::open("open-b", "b", None)).await;
    assert_eq!(world.outcome("open-b").await["outcome"], "accepted");
    client.send(&JsonCommand::close("again", "a")).await;
    wait_until("the older writer can't go on, or has ended", async || !health.is_ready() || older.is_finished()).await;
    assert!(!older.is_finished(), "{:?}", older.join());
    newer.restart();
    assert_eq!(world.outcome("again").await["code"], "account_closed");
    wait_until("the older writer works again", async || health.is_ready()).await;
    shutdown.cancel();
    older.join().expect("the writer").expect("it leaves");
}
