//! The world of a test: the servers that all tests share, and its own log and database.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use millrace_compose::{Ports, Silent, Stack, StackOptions};
use millrace_runtime::{Overrides, Settings, postgres};
use millrace_schemas::{LogName, Outcome, StreamId};
use millrace_store::Log;
use serde_json::Value;

use crate::service::{Service, millrace};

/// How long a condition may take to come true. Machines are shared and slow; a passing test never waits this long.
const PATIENCE: Duration = Duration::from_secs(90);

/// Postgres, Kafka and the registry.
pub struct Servers {
    pub stack: Stack,
}

impl Servers {
    /// Starts the servers in their own folder. First deletes the rest of an earlier run that was killed.
    pub async fn up() -> Self {
        let checkout =
            env!("CARGO_MANIFEST_DIR").bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        let data_dir = std::env::temp_dir().join(format!("millrace-tests-{checkout:08x}"));
        Stack::down_in(&data_dir, &Silent).await.expect("what an earlier run left can be stopped");
        if let Ok(stack) = Stack::open(&data_dir) {
            stack.destroy().await.expect("what an earlier run left can be deleted");
        }
        let options = StackOptions { data_dir, ports: Ports::ANY, short_lived: true, ..StackOptions::default() };
        let stack = Stack::up(&options, &millrace_compose::Console::new()).await;
        Self { stack: stack.unwrap_or_else(|error| panic!("the servers do not start: {error}")) }
    }

    /// Stops the servers and deletes their data.
    pub async fn down(&self) {
        self.stack.down(&Silent).await.expect("the servers stop");
        self.stack.clone().destroy().await.expect("their data can be deleted");
    }
}

/// A test's own log and database on the shared servers.
pub struct World {
    pub stack: Stack,
    pub log: LogName,
    pub settings: Settings,
    environment: Vec<(String, String)>,
    started: AtomicU32,
}

impl World {
    /// Creates database, log and topics, and registers the schemas.
    pub async fn create(servers: &Servers) -> Self {
        let stack = servers.stack.clone();
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let log: LogName = format!("t{}", &unique[..12]).parse().expect("a log name");
        let postgres_url = create_database(&stack, log.as_str()).await;
        let addresses = stack.addresses();
        let environment = [
            ("MILLRACE_POSTGRES_URL", postgres_url.as_str()),
            ("MILLRACE_KAFKA_BOOTSTRAP", &addresses.kafka_bootstrap),
            ("MILLRACE_REGISTRY_URL", &addresses.registry_url),
            ("MILLRACE_LOG", log.as_str()),
            ("MILLRACE_PARTITIONS", "4"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let settings = Settings::load(None, &Overrides { log: Some(log.to_string()), ..Overrides::default() });
        let settings = settings.expect("default settings");
        let settings = settings.with_servers(&postgres_url, &addresses.kafka_bootstrap, &addresses.registry_url);
        let world = Self { stack, log, settings, environment, started: AtomicU32::new(0) };
        world.millrace(&["migrate"]).await;
        world.millrace(&["schemas", "register"]).await;
        world
    }

    /// The paths of the services' log files, as a glob.
    pub fn logs(&self) -> String {
        self.stack.log_file(&format!("{}-*", self.log)).display().to_string()
    }

    /// Runs a command of `millrace`, which must succeed, and returns what it prints.
    pub async fn millrace(&self, arguments: &[&str]) -> String {
        let (code, printed) = self.try_millrace(arguments).await;
        assert_eq!(code, 0, "millrace {arguments:?} ends with {code}: {printed}");
        printed
    }

    /// Runs a command of `millrace`. Returns its exit code and its output, errors included.
    pub async fn try_millrace(&self, arguments: &[&str]) -> (i32, String) {
        self.try_millrace_with(arguments, &[]).await
    }

    /// The same, with more environment.
    pub async fn try_millrace_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> (i32, String) {
        let environment = self.environment_and(more);
        let mut command = tokio::process::Command::from(millrace(&environment, arguments));
        let output = command.kill_on_drop(true).output().await.expect("millrace runs");
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code().unwrap_or(-1), printed)
    }

    /// Starts a service of `millrace` and returns when it is ready. Dropping the returned value kills it.
    pub async fn service(&self, arguments: &[&str]) -> Service {
        self.service_with(arguments, &[]).await
    }

    /// The same, with more environment.
    pub async fn service_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> Service {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", self.log, arguments.join("-"));
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        if let [projector, name] = arguments.as_slice()
            && projector == "projector"
        {
            let group = format!("{}.{name}.g1", self.log);
            arguments.extend(["--group".to_owned(), group]);
        }
        let mut service = Service::start(arguments, self.environment_and(more), self.stack.log_file(&name));
        service.wait_until_ready().await;
        service
    }

    pub fn environment_and(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.iter().cloned().chain(more).collect()
    }

    /// Starts one of each service.
    pub async fn pipeline(&self) -> Vec<Service> {
        let (writer, relay, reporting, search) = tokio::join!(
            self.service(&["writer"]),
            self.service(&["relay"]),
            self.service(&["projector", "reporting"]),
            self.service(&["projector", "search"]),
        );
        vec![writer, relay, reporting, search]
    }

    /// Connections to the test's database, with the log's schema first.
    pub fn pool(&self, size: usize) -> Pool {
        postgres::pool(self.settings.postgres_url().expect("set"), self.log.as_str(), size).expect("an address")
    }

    /// Opens the log, for a test without services.
    pub async fn open_log(&self) -> Log {
        Log::open(&self.pool(1).get().await.expect("Postgres"), self.log.clone()).await.expect("the log")
    }

    /// Waits for the outcome of a command.
    pub async fn outcome(&self, id: &str) -> Value {
        let known = async || {
            let (code, printed) = self.try_millrace(&["outcome", id, "--output", "json"]).await;
            let _ = code;
            serde_json::from_str::<Value>(&printed).ok()
        };
        wait_for(&format!("command {id} has an outcome"), known).await
    }

    /// Waits until so many commands have an outcome in Postgres.
    pub async fn wait_for_outcomes(&self, count: i64) {
        let pool = self.pool(1);
        wait_until(&format!("{count} commands have an outcome"), async || {
            let Ok(client) = pool.get().await else { return false };
            let row = client.query_one("SELECT count(*) FROM commands", &[]).await;
            row.is_ok_and(|row| row.get::<_, i64>(0) >= count)
        })
        .await;
    }

    /// Every outcome that Postgres has.
    pub async fn stored_outcomes(&self) -> Vec<Outcome> {
        let (log, client) = (self.open_log().await, self.pool(1).get().await.expect("Postgres"));
        let keys = client.query("SELECT key FROM commands", &[]).await.expect("commands");
        let keys: Vec<uuid::Uuid> = keys.iter().map(|row| row.get(0)).collect();
        let commands = log.commands(&client, &keys).await.expect("outcomes");
        commands.into_values().map(|command| command.outcome).collect()
    }

    /// Runs the audit, which must find no difference. Returns its report.
    pub async fn audit(&self) -> Value {
        let (code, printed) = self.try_millrace(&["audit", "--wait", "90", "--output", "json"]).await;
        assert_eq!(code, 0, "the audit fails: {printed}");
        serde_json::from_str(&printed).expect("the audit prints JSON")
    }

    /// The balance that `reporting` shows.
    pub async fn balance(&self, account_id: &str) -> Option<i64> {
        let client = self.pool(1).get().await.expect("Postgres");
        let sql = "SELECT balance_minor FROM reporting.account_balances WHERE account_id = $1";
        client.query_opt(sql, &[&account_id]).await.expect("account_balances").map(|row| row.get(0))
    }
}

/// Creates an empty database, and returns its address.
pub async fn create_database(stack: &Stack, name: &str) -> String {
    let url = &stack.addresses().postgres_url;
    let admin = postgres::pool(url, "public", 1).expect("an address").get().await.expect("Postgres");
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let server = url.rsplit_once('/').expect("an address has a database").0;
    format!("{server}/{name}")
}

/// Parses a stream's id.
pub fn stream(id: &str) -> StreamId {
    id.parse().expect("a stream id")
}

/// Waits until a condition holds.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, async || holds().await.then_some(())).await;
}

/// Waits until `look` returns something.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "after {} s it is still not so that {what}", PATIENCE.as_secs());
        pause().await;
    }
}

/// The pause between two looks at a condition.
fn pause() -> impl Future<Output = ()> {
    tokio::time::sleep(Duration::from_millis(20))
}
