//! Two writers of a declared log, while its definition changes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::{Client, JsonCommand};
use crate::world::{World, wait_until};

crate::promises![two_writers_take_up_new_definitions_of_a_declared_log_and_lose_no_command];

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

async fn two_writers_take_up_new_definitions_of_a_declared_log_and_lose_no_command(world: World) {
    let log = format!("bank{}", world.log);
    let bank = Bank::copy(&log);
    bank.apply(&world, &log).await;
    let writers = [world.service(&["writer", "--log", &log]).await, world.service(&["writer", "--log", &log]).await];
    let _relay = world.service(&["relay", "--log", &log]).await;
    let have_shares = async || {
        let mut shares = writers.iter().map(|writer| writer.metric("millrace_writer_assigned_partitions"));
        let (one, other) = (shares.next().expect("a writer").await, shares.next().expect("a writer").await);
        one > 0.0 && other > 0.0
    };
    wait_until("both writers have partitions", have_shares).await;
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
    wait_until("both writers have them still, or again", have_shares).await;
    assert_eq!(client.read(&format!("{log}.dead-letters")).await.into_values().flatten().count(), 0);
    world.millrace(&["audit", "--log", &log, "--wait", "60"]).await;
}
