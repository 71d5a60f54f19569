//! A second Kafka broker, which joins the stack's cluster for as long as a test lasts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace_compose::ServiceStart;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::service::{free_port, signal};
use crate::world::{World, wait_until};

/// Its number; the stack's own broker is 1.
pub const NODE: i32 = 2;
/// Longest wait for an answer of the first broker.
const ANSWER: Duration = Duration::from_secs(5);

/// The broker. Dropping it kills it, and waits until the first broker knows.
pub struct SecondBroker {
    pub pid: u32,
    of_the_first: BaseConsumer,
}

impl SecondBroker {
    /// Starts it with the Java, the programs and the settings of the first, and returns when the first knows it. It is a
    /// process of the stack, so `down` stops it if a killed test leaves it.
    pub async fn start(world: &World) -> Self {
        let folder = world.stack.data_dir().join("kafka").join(format!("second-{}", world.log));
        let data = folder.join("data");
        std::fs::create_dir_all(&data).expect("a folder");
        write_meta(&world.stack.data_dir().join("kafka").join("data"), &data);
        let properties = properties(world, &data);
        let config = folder.join("server.properties");
        std::fs::write(&config, properties).expect("a file");
        let mut command = command_of_the_first(world);
        let java = PathBuf::from(command.remove(0));
        *command.last_mut().expect("its settings") = config.display().to_string();
        for argument in command.iter_mut().filter(|argument| argument.starts_with("-Djava.io.tmpdir=")) {
            *argument = format!("-Djava.io.tmpdir={}", folder.display());
        }
        let started = world.stack.start_service("second-broker", &java, &command, &[]).await.expect("it starts");
        let ServiceStart::Started { pid } = started else { panic!("{started:?}") };
        let broker = Self { pid, of_the_first: consumer(world) };
        wait_until("the second broker has joined", async || broker.is_known() == Some(true)).await;
        broker
    }

    /// Whether the first broker tells clients of it; `None` without an answer.
    fn is_known(&self) -> Option<bool> {
        let metadata = self.of_the_first.fetch_metadata(Some("__consumer_offsets"), ANSWER).ok()?;
        Some(metadata.brokers().iter().any(|broker| broker.id() == NODE))
    }
}

impl Drop for SecondBroker {
    fn drop(&mut self) {
        signal(self.pid, "-KILL");
        // until then, the topics of the next test would be put on it
        let deadline = Instant::now() + 6 * ANSWER;
        while self.is_known() != Some(false) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A client that asks the first broker.
pub fn consumer(world: &World) -> BaseConsumer {
    let kafka = &world.stack.addresses().kafka_bootstrap;
    ClientConfig::new().set("bootstrap.servers", kafka).create().expect("a consumer")
}

/// The first broker's command line: the program, its arguments, and its settings last.
fn command_of_the_first(world: &World) -> Vec<String> {
    let running = world.stack.running();
    let kafka = running.iter().find(|process| process.name == "kafka").expect("it runs");
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", kafka.pid)).expect("its command line");
    line.trim_end_matches('\0').split('\0').map(ToOwned::to_owned).collect()
}

/// The first broker's settings, for a broker that is no controller.
fn properties(world: &World, data: &Path) -> String {
    let first = std::fs::read_to_string(world.stack.data_dir().join("kafka").join("server.properties"));
    let port = free_port();
    let changed = |line: &str| match line.split_once('=').map_or(line, |(name, _)| name) {
        "process.roles" => "process.roles=broker".to_owned(),
        "node.id" => format!("node.id={NODE}"),
        "listeners" => format!("listeners=PLAINTEXT://127.0.0.1:{port}"),
        "advertised.listeners" => format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
        "log.dirs" => format!("log.dirs={}", data.display()),
        _ => line.to_owned(),
    };
    first.expect("its settings").lines().map(|line| changed(line) + "\n").collect()
}

/// What Kafka's storage tool would write into the folder of a new member of the cluster.
fn write_meta(first: &Path, data: &Path) {
    let first = std::fs::read_to_string(first.join("meta.properties")).expect("the first broker's");
    let cluster = first.lines().find(|line| line.starts_with("cluster.id=")).expect("a cluster");
    std::fs::write(data.join("meta.properties"), format!("version=1\n{cluster}\nnode.id={NODE}\n")).expect("a file");
}
