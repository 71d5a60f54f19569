//! Two writers of a declared log, while its definition changes.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_schemas::partition_of;
use serde_json::json;

use crate::client::{Client, JsonCommand};
use crate::proxy::Proxy;
use crate::service::Service;
use crate::world::{World, stream, wait_until};

crate::promises![
    two_writers_take_up_new_definitions_of_a_declared_log_and_lose_no_command,
    a_writer_that_meets_an_event_of_a_definition_it_lacks_leaves_its_partitions_to_others
];

const ACCOUNTS: usize = 24;
const ROUNDS: usize = 3;

/// A copy of the bank's folder; dropping it deletes it.
struct Bank(PathBuf);

impl Drop for Bank {
    fn drop(&mut self) {
        // nothing depends on it
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Bank {
    fn copy(log: &str) -> Self {
        let (from, to) = (Path::new("../domains/bank"), std::env::temp_dir().join(format!("millrace-{log}")));
        for folder in ["", "commands", "events"] {
            fs::create_dir_all(to.join(folder)).expect("a folder");
            for entry in fs::read_dir(from.join(folder)).expect("the bank's folder").flatten() {
                if entry.path().is_file() {
                    fs::copy(entry.path(), to.join(folder).join(entry.file_name())).expect("a copy");
                }
            }
        }
        Self(to)
    }

    /// Adds a kind of gift: a command, its event, and what it does to a balance.
    fn add_gift(&self, round: usize) {
        let fields = json!([{"name": "account_id", "type": "string"}, {"name": "amount_minor", "type": "long"}]);
        for (folder, name) in [("commands", format!("Give{round}")), ("events", format!("Given{round}"))] {
            let record = json!({"type": "record", "name": name, "namespace": "millrace.bank", "fields": fields});
            fs::write(self.0.join(folder).join(format!("{name}.avsc")), record.to_string()).expect("written");
        }
        let rules = fs::read_to_string(self.0.join("domain.toml")).expect("the rules");
        let (before, after) = rules.split_once("\n\n[commands.").expect("rules");
        let fold = format!("Given{round} = {{ balance = \"state.balance + event.amount_minor\" }}");
        let command = format!(
            "[commands.Give{round}]\nstream = \"'account-' + command.account_id\"\n\
             reject = [{{ when = \"!has(state.open) || !state.open\", code = \"closed\", message = \"It is closed.\" }}]\n\
             emit = [{{ event = \"Given{round}\", copy = \"command\" }}]\n"
        );
        fs::write(self.0.join("domain.toml"), format!("{before}\n{fold}\n\n[commands.{after}\n{command}"))
            .expect("written");
    }

    async fn apply(&self, world: &World, log: &str) {
        world.millrace(&["log", "apply", &self.0.display().to_string(), "--as", log]).await;
    }
}

fn command(id: String, name: &'static str, account: usize, mut data: serde_json::Value) -> JsonCommand {
    data["account_id"] = json!(account.to_string());
    // every second command goes to the other accounts' partitions: both writers decide on all accounts
    let key = format!("account-{}", if id.len().is_multiple_of(2) { account } else { ACCOUNTS - 1 - account });
    JsonCommand { id, name, key, data, headers: vec![] }
}

async fn have_shares(writers: &[Service; 2]) -> bool {
    let [one, other] = writers.each_ref().map(|writer| writer.metric("millrace_writer_assigned_partitions"));
    one.await > 0.0 && other.await > 0.0
}

async fn two_writers_take_up_new_definitions_of_a_declared_log_and_lose_no_command(world: World) {
    let log = format!("bank{}", world.log);
    let bank = Bank::copy(&log);
    bank.apply(&world, &log).await;
    let writers = [world.service(&["writer", "--log", &log]).await, world.service(&["writer", "--log", &log]).await];
    let _relay = world.service(&["relay", "--log", &log]).await;
    wait_until("both writers have partitions", async || have_shares(&writers).await).await;
    let client = Client::of_log(&world, &format!("{log}.commands"));
    let pool = world.pool(1);
    let accepted = async |wanted: usize| {
        wait_until(&format!("{wanted} commands have an outcome"), async || {
            let client = pool.get().await.expect("Postgres");
            let counts = format!("SELECT (SELECT count(*) FROM {log}.commands), (SELECT count(*) FROM {log}.events)");
            let row = client.query_one(&counts, &[]).await.expect("counts");
            let (commands, events): (i64, i64) = (row.get(0), row.get(1));
            assert_eq!(commands, events, "every command is accepted");
            commands >= wanted as i64
        })
        .await;
    };
    let opens =
        (0..ACCOUNTS).map(|account| command(format!("open-{account}"), "OpenAccount", account, json!({"owner": "x"})));
    client.send_all(&opens.collect::<Vec<_>>()).await;
    let mut sent = ACCOUNTS;
    accepted(sent).await;
    for (round, name) in (1..=ROUNDS).zip(["Give1", "Give2", "Give3"]) {
        bank.add_gift(round);
        bank.apply(&world, &log).await;
        let gifts = (0..ACCOUNTS * 4).map(|number| {
            let (name, kind) = if number % 3 == 0 { ("Deposit", "deposit") } else { (name, "gift") };
            command(format!("{kind}-{round}-{number}"), name, number % ACCOUNTS, json!({"amount_minor": 5}))
        });
        let gifts: Vec<JsonCommand> = gifts.collect();
        sent += gifts.len();
        client.send_all(&gifts).await;
    }
    accepted(sent).await;
    wait_until("both writers have them still, or again", async || have_shares(&writers).await).await;
    assert_eq!(client.read(&format!("{log}.dead-letters")).await.into_values().flatten().count(), 0);
    world.millrace(&["audit", "--log", &log, "--wait", "60"]).await;
}

async fn a_writer_that_meets_an_event_of_a_definition_it_lacks_leaves_its_partitions_to_others(world: World) {
    let log = format!("bank{}", world.log);
    let bank = Bank::copy(&log);
    bank.apply(&world, &log).await;
    let registry = Proxy::before(&world.stack.addresses().registry_url).await;
    let hindered = [("MILLRACE_REGISTRY_URL", registry.url.as_str())];
    let arguments = ["writer", "--log", &log];
    let mut writers = [world.service(&arguments).await, world.service_with(&arguments, &hindered).await];
    wait_until("both writers have partitions", async || have_shares(&writers).await).await;
    let client = Client::of_log(&world, &format!("{log}.commands"));
    let pool = world.pool(1);
    let count = async |table: &str| {
        let count = format!("SELECT count(*) FROM {log}.{table}");
        pool.get().await.expect("Postgres").query_one(&count, &[]).await.expect("a count").get::<_, i64>(0)
    };
    // all of them are about one account, whichever partition they come by
    let by = |partition: i32, name: &'static str, data: serde_json::Value| {
        let key = (0..).map(|number| format!("account-{number}"));
        let key = key.into_iter().find(|key| partition_of(&stream(key), 12) == partition).expect("one of them");
        JsonCommand { key, ..command(format!("{name}-{partition}"), name, 0, data) }
    };
    client.send(&by(0, "OpenAccount", json!({"owner": "x"}))).await;
    wait_until("the account is open", async || count("events").await == 1).await;

    registry.hold();
    bank.add_gift(1);
    bank.apply(&world, &log).await;
    let amount = || json!({"amount_minor": 5});
    let mut gifts = 0;
    for partition in [0, 11, 5, 6] {
        client.send(&by(partition, "Give1", amount())).await;
        gifts += 1;
        let is_known = async || {
            count("events").await > 1
                || writers[1].metric("millrace_writer_waiting_partitions").await == f64::from(gifts)
        };
        wait_until("a writer has it", is_known).await;
        if count("events").await > 1 {
            break;
        }
    }
    let deposits: Vec<JsonCommand> = (0..12).map(|partition| by(partition, "Deposit", amount())).collect();
    client.send_all(&deposits).await;
    wait_until("the other writer decides all of them", async || count("events").await == 13 + i64::from(gifts)).await;
    let leaves = async || writers[1].log().contains("leaving the partitions to other writers");
    let has_left = leaves().await;
    assert!(writers[1].is_running() && has_left, "{}", writers[1].log());

    registry.open();
    wait_until("the writer is back", async || have_shares(&writers).await).await;
    assert!(writers[1].log().contains("going on with it"));
    assert_eq!(count("commands").await, 13 + i64::from(gifts));
}
