//! Writer, relay and projector of a described log take up a new event type, and a new field, while they run.

use std::cell::Cell;
use std::fs;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use deadpool_postgres::Transaction;
use futures::future::BoxFuture;
use millrace_projector_runner::{ApplyError, Ended, Event, Projector, ProjectorError, migrate};
use millrace_runtime::{Health, Shutdown};
use serde_json::{Value, json};

use crate::client::JsonCommand;
use crate::own::{Own, append, event, one, opened};
use crate::service::Service;
use crate::world::{World, wait_until};

crate::promises![
    a_running_pipeline_takes_up_a_new_event_type_within_a_second_of_its_first_event,
    a_new_optional_field_is_taken_up_under_load_and_nothing_is_lost
];

/// Keeps a row for each event of the sample log. The program that comes along has no projector for a described log, so
/// the test runs this one itself.
struct Tickets;

/// The fields that the read model knows, whichever version the event was written in.
#[derive(serde::Deserialize)]
struct Fields {
    subject: Option<String>,
    priority: Option<String>,
}

impl Projector for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn migrations(&self) -> refinery::Runner {
        refinery::Runner::new(&[])
    }

    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let types: Vec<&str> = events.iter().map(Event::event_type).collect();
            let fields = events.iter().map(Event::get::<Fields>).collect::<Result<Vec<_>, _>>()?;
            let subjects: Vec<Option<&str>> = fields.iter().map(|fields| fields.subject.as_deref()).collect();
            let priorities: Vec<Option<&str>> = fields.iter().map(|fields| fields.priority.as_deref()).collect();
            let insert = "INSERT INTO seen (event_type, subject, priority)
                          SELECT * FROM unnest($1::text[], $2::text[], $3::text[])";
            transaction.execute(insert, &[&types, &subjects, &priorities]).await?;
            Ok(())
        })
    }
}

/// A running projector. Dropping it stops it.
struct Projecting {
    shutdown: Shutdown,
    thread: Option<JoinHandle<Result<Ended, ProjectorError>>>,
}

impl Projecting {
    async fn start(own: &Own<'_>) -> Self {
        let mut client = own.world.pool(1).get().await.expect("Postgres");
        let projectors: [Box<dyn Projector>; 1] = [Box::new(Tickets)];
        migrate(&mut client, &projectors).await.expect("its schema");
        let table = "CREATE TABLE tickets.seen (event_type text NOT NULL, subject text, priority text)";
        client.batch_execute(table).await.expect("its table");
        let mut settings = own.world.settings.clone();
        settings.log.clone_from(&own.log);
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let run = millrace_projector_runner::run(Box::new(Tickets), &settings, Health::default(), stop);
            runtime.block_on(run)
        });
        Self { shutdown, thread: Some(thread) }
    }

    /// Asks it to leave, which it does without an error.
    fn leave(mut self) {
        self.shutdown.cancel();
        let ended = self.thread.take().expect("it was started").join().expect("no panic").expect("no error");
        assert_eq!(ended, Ended::Shutdown);
    }
}

impl Drop for Projecting {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Own<'_> {
    /// Applies the folder, and starts a writer, a relay and the projector.
    async fn pipeline(&self) -> ([Service; 2], Projecting) {
        self.applied().await;
        let start = async |service| self.world.service(&[service, "--log", &self.log]).await;
        let services = [start("writer").await, start("relay").await];
        (services, Projecting::start(self).await)
    }

    /// How many rows of the read model fulfil a condition.
    async fn seen(&self, condition: &str) -> i64 {
        let client = self.world.pool(1).get().await.expect("Postgres");
        let count = format!("SELECT count(*) FROM tickets.seen WHERE {condition}");
        client.query_one(&count, &[]).await.expect("a count").get(0)
    }
}

async fn a_running_pipeline_takes_up_a_new_event_type_within_a_second_of_its_first_event(world: World) {
    let own = Own::new(&world);
    let (mut services, projector) = own.pipeline().await;
    let client = own.client();
    client.send(&append("first", json!([one("ticket-1", json!("any"), &[opened("a")])]))).await;
    wait_until("the pipeline works", async || own.seen("event_type = 'TicketOpened'").await == 1).await;

    // the machine is shared, so the best of three counts
    let mut best = Duration::MAX;
    for round in 1..=3 {
        let name = format!("TicketMoved{round}");
        own.write(&format!("events/{name}.avsc"), &event(&name, json!([{"name": "to", "type": "string"}])));
        own.applied().await;
        let moved = json!({"type": name, "data": {"to": "second level"}});
        client.send(&append(&name, json!([one("ticket-1", json!("any"), &[moved])]))).await;
        let acknowledged = Instant::now();
        let condition = format!("event_type = '{name}'");
        wait_until("the read model has the event", async || own.seen(&condition).await == 1).await;
        let took = acknowledged.elapsed();
        println!("a new event type was in the read model {} ms after its first command was in Kafka", took.as_millis());
        best = best.min(took);
    }
    assert!(best < Duration::from_secs(1), "at best it took {} ms", best.as_millis());
    assert!(services.iter_mut().all(|service| service.is_running()));
    projector.leave();
}

async fn a_new_optional_field_is_taken_up_under_load_and_nothing_is_lost(world: World) {
    let own = Own::new(&world);
    let (mut services, projector) = own.pipeline().await;
    let client = own.client();
    let command = |kind: &str, number: usize, event: Value| {
        let stream = format!("ticket-{}", number % 50);
        let command = append(&format!("{kind}-{number}"), json!([one(&stream, json!("any"), &[event])]));
        JsonCommand { key: stream, ..command }
    };
    let (is_done, old, new) = (Cell::new(false), Cell::new(0), 300);
    let load = async {
        while !is_done.get() {
            let commands: Vec<_> = (old.get()..old.get() + 25).map(|n| command("old", n, opened("a"))).collect();
            client.send_all(&commands).await;
            old.set(old.get() + 25);
            // so that the test's own backlog is not what it measures
            wait_until("the writer follows", async || own.count("commands").await + 300 > old.get() as i64).await;
        }
    };
    let change = async {
        wait_until("commands flow", async || own.count("commands").await > 200).await;
        own.add_priority();
        own.applied().await;
        let mut event = opened("b");
        event["data"]["priority"] = json!("high");
        let commands: Vec<_> = (0..new).map(|n| command("new", n, event.clone())).collect();
        client.send_all(&commands).await;
        wait_until("the new ones are applied", async || own.seen("priority = 'high'").await == new as i64).await;
        is_done.set(true);
    };
    tokio::join!(load, change);
    let sent = (old.get() + new) as i64;
    wait_until("every command has an outcome", async || own.count("commands").await == sent).await;
    assert_eq!(own.count("events").await, sent, "all of them are accepted");
    wait_until("every event is in the read model", async || own.seen("true").await == sent).await;
    assert_eq!(own.seen("subject = 'b' AND priority = 'high'").await, new as i64);
    assert_eq!(own.seen("subject = 'a' AND priority IS NULL").await, old.get() as i64);
    println!("{} old and {new} new events", old.get());
    let versions = format!("schemas WHERE topic = 'events' AND number IN (SELECT schema FROM {}.events)", own.log);
    assert_eq!(own.count(&versions).await, 2, "events of both versions are in the log");
    let dead = client.read(&format!("{}.dead-letters", own.log)).await;
    assert_eq!(dead.into_values().flatten().count(), 0);
    assert!(services.iter_mut().all(|service| service.is_running()));
    projector.leave();
    world.millrace(&["log", "check", &own.log]).await;
    world.millrace(&["audit", "--log", &own.log, "--wait", "60"]).await;
}

impl Own<'_> {
    /// Gives an event of the folder an optional field; the version before stays.
    fn add_priority(&self) {
        let (newest, before) = ("events/TicketOpened.avsc", "events/TicketOpened.v2.avsc");
        fs::copy(self.dir.join(newest), self.dir.join(before)).expect("the folder can be written");
        let text = fs::read_to_string(self.dir.join(newest)).expect("the file");
        let mut opened: Value = serde_json::from_str(&text).expect("JSON");
        let priority = json!({"name": "priority", "type": ["null", "string"], "default": null});
        opened["fields"].as_array_mut().expect("fields").push(priority);
        self.write(newest, &opened);
    }
}
