//! A log of one's own beside the test's log: a copy of the sample folder, applied under a unique name.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_runtime::kafka::{client_config, topic_partitions};
use serde_json::{Value, json};

use crate::client::{Client, JsonCommand};
use crate::world::{World, wait_until};

/// A copy of a folder, and the log of a unique name that it is applied to. Dropping it deletes the copy.
pub struct Own<'w> {
    pub world: &'w World,
    pub log: String,
    pub dir: PathBuf,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        // nothing depends on it
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl<'w> Own<'w> {
    /// The sample folder.
    pub fn new(world: &'w World) -> Self {
        Self::of_folder(world, "../tests/logs/tickets")
    }

    /// Another folder of the checkout.
    pub fn of_folder(world: &'w World, folder: &str) -> Self {
        let log = format!("own{}", world.log);
        let dir = std::env::temp_dir().join(format!("millrace-{log}"));
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &dir);
        Self { world, log, dir }
    }

    pub fn write(&self, file: &str, text: &Value) {
        fs::write(self.dir.join(file), text.to_string()).expect("the folder can be written");
    }

    /// Applies the folder. Returns the exit code and the report.
    pub async fn apply(&self, more: &[&str]) -> (i32, Value) {
        let dir = self.dir.display().to_string();
        let arguments = [&["log", "apply", dir.as_str(), "--as", self.log.as_str(), "--output", "json"], more].concat();
        let (code, printed) = self.world.try_millrace(&arguments).await;
        (code, serde_json::from_str(&printed).unwrap_or_else(|_| panic!("no report: {printed}")))
    }

    /// Applies the folder, which must change something. Returns the changes.
    pub async fn applied(&self) -> Vec<Value> {
        let (code, report) = self.apply(&[]).await;
        assert_eq!((code, &report["result"]), (0, &json!("applied")), "{report:#}");
        report["changes"].as_array().expect("changes").clone()
    }

    pub async fn show(&self) -> Value {
        serde_json::from_str(&self.world.millrace(&["log", "show", &self.log, "--output", "json"]).await).expect("JSON")
    }

    /// Everything of the log that applying may change: what the log shows, its definitions, and its subjects.
    pub async fn state(&self) -> (Value, i64, Vec<String>) {
        let client = self.world.pool(1).get().await.expect("Postgres");
        let count = format!("SELECT count(*) FROM \"{}\".definitions", self.log);
        (self.show().await, client.query_one(&count, &[]).await.expect("definitions").get(0), self.subjects().await)
    }

    /// The registry's versions of the log's subjects.
    pub async fn subjects(&self) -> Vec<String> {
        let url = &self.world.stack.addresses().registry_url;
        let get = async |path: String| -> Value {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let answer = client.get(format!("{url}/{path}")).send().await.expect("the registry answers");
            serde_json::from_slice(&answer.bytes().await.expect("the registry answers")).expect("JSON")
        };
        let mut versions = Vec::new();
        for subject in get("subjects?deleted=true".to_owned()).await.as_array().expect("subjects") {
            let subject = subject.as_str().expect("a name");
            if subject.starts_with(&format!("{}.", self.log)) {
                versions.push(format!("{subject} {}", get(format!("subjects/{subject}/versions")).await));
            }
        }
        versions.sort();
        versions
    }

    /// The partitions of the log's topics.
    pub async fn topics(&self) -> Vec<usize> {
        let names = ["commands", "events", "outcomes", "dead-letters"].map(|topic| format!("{}.{topic}", self.log));
        let config = client_config(&self.world.settings).expect("settings");
        topic_partitions(&config, &names).await.expect("Kafka")
    }

    /// A client that sends commands to the log.
    pub fn client(&self) -> Client {
        Client::of_log(self.world, &format!("{}.commands", self.log))
    }

    /// Sends a command and returns its outcome.
    pub async fn ask(&self, command: &JsonCommand) -> Value {
        self.client().send(command).await;
        self.outcome(&command.id).await
    }

    /// Waits for the outcome of a command.
    pub async fn outcome(&self, id: &str) -> Value {
        let mut outcome = Value::Null;
        wait_until(&format!("command {id} has an outcome"), async || {
            let arguments = ["outcome", id, "--log", &self.log, "--output", "json"];
            outcome = serde_json::from_str(&self.world.try_millrace(&arguments).await.1).unwrap_or_default();
            outcome.is_object()
        })
        .await;
        outcome
    }

    /// The rows of one of the log's tables.
    pub async fn count(&self, table: &str) -> i64 {
        let client = self.world.pool(1).get().await.expect("Postgres");
        let count = format!("SELECT count(*) FROM \"{}\".{table}", self.log);
        client.query_one(&count, &[]).await.expect("a count").get(0)
    }

    pub async fn drop_log(&self) -> (i32, String) {
        self.world.try_millrace(&["log", "drop", &self.log, "--yes-really-delete", &self.log]).await
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the sample folder") {
        let (path, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("the sample folder");
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(path, to).expect("the folder can be written")),
        }
    }
}

/// An event of the sample log.
pub fn opened(subject: &str) -> Value {
    json!({"type": "TicketOpened", "data": {"ticket_id": "1", "subject": subject}})
}

/// The command `Append`.
pub fn append(id: &str, streams: Value) -> JsonCommand {
    JsonCommand {
        id: id.to_owned(),
        name: "Append",
        key: "ticket-1".into(),
        data: json!({"streams": streams}),
        headers: vec![],
    }
}

/// What an `Append` does to one stream.
pub fn one(stream: &str, expected: Value, events: &[Value]) -> Value {
    json!({"stream": stream, "expected_version": expected, "events": events})
}

/// The text of an event's schema.
pub fn event(name: &str, fields: Value) -> Value {
    json!({"type": "record", "name": name, "namespace": "helpdesk", "fields": fields})
}

pub fn changes(changes: &[Value], kind: &str) -> usize {
    changes.iter().filter(|change| change["change"] == kind).count()
}
