//! Another definition is applied to a log while its services run: one that the writer can't read, one that the registry
//! delays, and one that changes no state.

use std::fs;

use millrace_schemas::{RecordSchema, Topic, framing, partition_of};
use serde_json::{Value, json};

use crate::client::{JsonCommand, text_headers};
use crate::own::{Own, append, event, one, opened};
use crate::proxy::Proxy;
use crate::service::Service;
use crate::world::{World, stream, wait_until};

crate::promises![
    a_writer_goes_on_with_its_definition_while_it_cant_read_the_next,
    a_writer_that_cant_read_the_next_definition_reads_every_version_of_the_one_in_use,
    a_definition_that_the_registry_delays_holds_up_only_commands_that_need_it,
    a_definition_that_folds_events_as_before_keeps_the_states_in_memory
];

/// Whether the log has a definition that the writer has not taken up.
const OUTDATED: &str = "millrace_writer_outdated_definition";

/// A ticket whose commands go to a partition of the sample log.
fn ticket_in(partition: i32) -> String {
    let tickets = (0..).map(|number| format!("ticket-{number}"));
    tickets.into_iter().find(|ticket| partition_of(&stream(ticket), 3) == partition).expect("one of them")
}

/// Appends an event to a ticket.
fn to_ticket(id: &str, ticket: &str, event: Value) -> JsonCommand {
    JsonCommand { key: ticket.to_owned(), ..append(id, json!([one(ticket, json!("any"), &[event])])) }
}

fn moved() -> Value {
    json!({"type": "TicketMoved", "data": {"to": "second level"}})
}

impl Own<'_> {
    /// Stores the newest definition again, with a key that this program does not know, as a newer one would.
    async fn store_unreadable(&self) {
        let client = self.world.pool(1).get().await.expect("Postgres");
        let store = format!(
            "INSERT INTO \"{0}\".definitions (files)
             SELECT files || jsonb_build_object('log.toml', (files ->> 'log.toml') || E'\\nretention = \"7d\"\\n')
             FROM \"{0}\".definitions ORDER BY number DESC LIMIT 1",
            self.log
        );
        client.batch_execute(&store).await.expect("Postgres");
    }

    /// Adds an event type to the folder.
    fn add_moved(&self) {
        let fields = json!([{"name": "to", "type": "string"}]);
        self.write("events/TicketMoved.avsc", &event("TicketMoved", fields));
    }
}

async fn a_writer_goes_on_with_its_definition_while_it_cant_read_the_next(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let mut writer = world.service(&["writer", "--log", &own.log]).await;
    let (waiting, other) = (ticket_in(0), ticket_in(1));
    assert_eq!(own.ask(&to_ticket("before", &waiting, opened("a"))).await["outcome"], "accepted");

    own.store_unreadable().await;
    wait_until("the writer says so", async || writer.log().contains("can't read definition")).await;
    for number in 0..3 {
        let old = to_ticket(&format!("meanwhile-{number}"), &waiting, opened("b"));
        assert_eq!(own.ask(&old).await["outcome"], "accepted");
    }
    assert!(writer.log().contains("update this service"), "{}", writer.log());
    assert_eq!(writer.metric(OUTDATED).await, 1.0);
    // the next definition might have the event
    own.client().send(&to_ticket("moved", &waiting, moved())).await;
    wait_until("its partition waits", async || writer.metric("millrace_writer_waiting_partitions").await == 1.0).await;
    assert_eq!(own.ask(&to_ticket("aside", &other, opened("c"))).await["outcome"], "accepted");
    let dead = own.client().read(&format!("{}.dead-letters", own.log)).await;
    assert_eq!(dead.into_values().flatten().count(), 0);

    own.add_moved();
    own.applied().await;
    assert_eq!(own.outcome("moved").await["outcome"], "accepted");
    wait_until("the definition is taken up", async || writer.metric(OUTDATED).await == 0.0).await;
    assert!(writer.is_running());
    assert_eq!(own.count("events").await, 6);

    own.store_unreadable().await;
    let (code, printed) = world.try_millrace(&["writer", "--log", &own.log]).await;
    assert!(code != 0 && printed.contains("log.toml") && printed.contains("retention"), "{code}: {printed}");
}

async fn a_writer_that_cant_read_the_next_definition_reads_every_version_of_the_one_in_use(world: World) {
    let own = Own::of_folder(&world, "../domains/bank");
    own.applied().await;
    let fields = json!([{"name": "account_id", "type": "string"}, {"name": "owner", "type": "string"},
        {"name": "note", "type": ["null", "string"], "default": null}]);
    let mut open = event("OpenAccount", fields);
    open["namespace"] = json!("millrace.bank");
    own.write("commands/OpenAccount.avsc", &open);
    own.applied().await;
    let writer = world.service(&["writer", "--log", &own.log]).await;
    own.store_unreadable().await;
    wait_until("the writer says so", async || writer.log().contains("can't read definition")).await;

    // in Avro, and the writer has not met either version yet
    let db = world.pool(1).get().await.expect("Postgres");
    let versions = format!("SELECT registry_id, avsc FROM {}.schemas WHERE name = 'OpenAccount' ORDER BY 1", own.log);
    let versions = db.query(&versions, &[]).await.expect("schemas");
    assert_eq!(versions.len(), 2);
    for row in versions {
        let (id, text) = (row.get::<_, i32>(0).unsigned_abs(), row.get(1));
        let schema = RecordSchema::parse(Topic::Commands, id, text).expect("a schema");
        let account = format!("a{id}");
        let datum = schema.encode_json(&json!({"account_id": account, "owner": "Ada"})).expect("it fits");
        let headers = text_headers(&[("ce_id", &account)]);
        own.client().send_raw(Some(&account), Some(&framing::frame(id, &datum)), headers).await;
        assert_eq!(own.outcome(&account).await["outcome"], "accepted");
    }
    assert_eq!(writer.metric("millrace_writer_waiting_partitions").await, 0.0);
    assert_eq!(writer.metric(OUTDATED).await, 1.0);
}

async fn a_definition_that_the_registry_delays_holds_up_only_commands_that_need_it(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let registry = Proxy::before(&world.stack.addresses().registry_url).await;
    let environment = [("MILLRACE_REGISTRY_URL", registry.url.as_str())];
    let mut writer = world.service_with(&["writer", "--log", &own.log], &environment).await;
    let (waiting, other) = (ticket_in(0), ticket_in(1));
    assert_eq!(own.ask(&to_ticket("before", &waiting, opened("a"))).await["outcome"], "accepted");

    registry.hold();
    own.add_moved();
    own.applied().await;
    own.client().send(&to_ticket("moved", &waiting, moved())).await;
    own.client().send(&to_ticket("behind", &waiting, opened("b"))).await;
    for number in 0..3 {
        let old = to_ticket(&format!("aside-{number}"), &other, opened("c"));
        assert_eq!(own.ask(&old).await["outcome"], "accepted");
    }
    wait_until("one partition waits", async || writer.metric("millrace_writer_waiting_partitions").await == 1.0).await;
    assert_eq!(writer.metric(OUTDATED).await, 1.0);
    assert_eq!(own.count("commands").await, 4, "nothing behind the new event is decided");

    registry.open();
    assert_eq!(own.outcome("behind").await["outcome"], "accepted");
    assert_eq!(own.outcome("moved").await["outcome"], "accepted");
    let versions = format!("SELECT array_agg(stream_id || ' ' || version ORDER BY 1) FROM \"{}\".events", own.log);
    let row = world.pool(1).get().await.expect("Postgres").query_one(&versions, &[]).await.expect("events");
    assert_eq!(row.get::<_, Vec<String>>(0).len(), 6);
    assert_eq!(writer.metric("millrace_writer_waiting_partitions").await, 0.0);
    assert!(writer.is_running());
}

async fn a_definition_that_folds_events_as_before_keeps_the_states_in_memory(world: World) {
    let own = Own::of_folder(&world, "../domains/bank");
    own.applied().await;
    let writer = world.service(&["writer", "--log", &own.log]).await;
    let command = |id: &str, name: &'static str, data: Value| JsonCommand {
        id: id.to_owned(),
        name,
        key: "account-a".into(),
        data,
        headers: vec![],
    };
    let amount = |amount: i64| json!({"account_id": "a", "amount_minor": amount});
    own.ask(&command("open", "OpenAccount", json!({"account_id": "a", "owner": "Ada"}))).await;
    assert_eq!(own.ask(&command("deposit", "Deposit", amount(5))).await["outcome"], "accepted");
    let loaded = from_the_log(&writer).await;

    // a comment, a command and an event that changes no state
    let fields = json!([{"name": "account_id", "type": "string"}, {"name": "text", "type": "string"}]);
    own.write("commands/Note.avsc", &event("Note", fields.clone()));
    own.write("events/Noted.avsc", &event("Noted", fields));
    let rules = fs::read_to_string(own.dir.join("domain.toml")).expect("the rules");
    let note = "[commands.Note]\nstream = \"'account-' + command.account_id\"\n\
                emit = [{ event = \"Noted\", copy = \"command\" }]\n";
    fs::write(own.dir.join("domain.toml"), format!("# the same\n{rules}\n{note}")).expect("written");
    own.applied().await;
    let noted = own.ask(&command("note", "Note", json!({"account_id": "a", "text": "x"}))).await;
    assert_eq!(noted["outcome"], "accepted", "{noted}");
    let refused = own.ask(&command("too-much", "Withdraw", amount(6))).await;
    assert_eq!(refused["code"], "insufficient_funds", "{refused}");
    assert_eq!(from_the_log(&writer).await, loaded, "no stream was loaded again");

    // other rules of the state
    let rules = rules.replace(
        "AccountOpened    = { open = \"true\", ",
        "AccountOpened = { open = \"true\", owner = \"event.owner\", ",
    );
    fs::write(own.dir.join("domain.toml"), format!("{rules}\n{note}")).expect("written");
    own.applied().await;
    wait_until("the writer takes it up", async || writer.log().matches("going on with it").count() == 2).await;
    assert_eq!(own.ask(&command("rest", "Withdraw", amount(5))).await["outcome"], "accepted");
    assert_eq!(from_the_log(&writer).await, loaded + 1.0);
}

/// How many streams a writer has loaded from the log.
async fn from_the_log(writer: &Service) -> f64 {
    let metrics = writer.metrics().await;
    let is_it = |line: &&str| line.starts_with("millrace_writer_streams_total{") && line.contains("from=\"log\"");
    metrics.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
