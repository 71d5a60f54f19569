//! A relay that reads from a standby publishes what the standby has: so nothing that a failover to it would lose.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use millrace_compose::Silent;
use millrace_schemas::LogName;
use tokio_postgres::{Client as Session, NoTls};

use crate::client::{Client, JsonCommand};
use crate::faults::copy;
use crate::service::{free_port, signal};
use crate::world::{World, wait_until};

crate::promises![; disturbs: a_relay_that_reads_from_a_standby_publishes_what_that_one_has_and_nothing_newer];

async fn a_relay_that_reads_from_a_standby_publishes_what_that_one_has_and_nothing_newer(world: World) {
    let standby = Standby::start(&world).await;
    let (_writer, _reporting, _search) = tokio::join!(
        world.service(&["writer"]),
        world.service(&["projector", "reporting"]),
        world.service(&["projector", "search"])
    );
    let mut relay = world.service_with(&["relay"], &[("MILLRACE_RELAY_POSTGRES_URL", &standby.url)]).await;
    let (client, topic) = (Client::new(&world), world.log.events_topic());
    let open = async |from: usize| {
        let opens = (from..from + 20).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None));
        client.send_all(&opens.collect::<Vec<_>>()).await;
        world.wait_for_outcomes(from as i64 + 20).await;
    };
    open(0).await;
    client.read_at_least(&topic, 20).await;

    standby.pause_replay().await;
    open(20).await;
    standby.is_asked_again(&world.log).await;
    assert_eq!(client.read_at_least(&topic, 20).await.len(), 20, "the standby does not have more");

    // a relay that finds the topic ahead of its standby waits for the standby, and takes nothing for lost
    relay.leave().await;
    let mut ahead = world.service(&["relay"]).await;
    client.read_at_least(&topic, 40).await;
    ahead.leave().await;
    relay.restart();
    relay.wait_until_ready().await;
    open(40).await;
    standby.is_asked_again(&world.log).await;
    assert_eq!(relay.metric("millrace_relay_halted_partitions").await, 0.0, "{}", relay.log());
    assert_eq!(client.read_at_least(&topic, 40).await.len(), 40, "the standby does not have more");

    standby.run("SELECT pg_wal_replay_resume()").await;
    client.read_at_least(&topic, 60).await;
    world.audit().await;
}

/// A hot standby of the stack's Postgres, which streams from it. Dropping it stops it and deletes its data.
struct Standby {
    process: Child,
    data: PathBuf,
    /// Of the test's database there.
    url: String,
    session: Session,
}

impl Standby {
    /// Copies the data folder while Postgres is stopped; the stack has no `pg_basebackup`.
    async fn start(world: &World) -> Self {
        let of_the_test = reqwest::Url::parse(world.settings.postgres_url().expect("set")).expect("a URL");
        let program = program(world);
        let (primary, data) = (world.stack.data_dir().join("postgres"), world.stack.data_dir().join("standby"));
        world.stack.stop("postgres").await.expect("it stops");
        // one that a killed run has left
        drop(std::fs::remove_dir_all(&data));
        copy(&primary, &data);
        world.stack.start(&Silent).await.expect("it comes back");
        std::fs::write(data.join("standby.signal"), "").expect("a file");

        let (port, owner) = (free_port(), std::fs::metadata(&data).expect("a folder"));
        let password = of_the_test.password().expect("a password");
        let primary_port = of_the_test.port().expect("a port");
        let conninfo = format!("host=127.0.0.1 port={primary_port} user=postgres password={password}");
        let settings = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "jit=off".to_owned(),
            format!("primary_conninfo={conninfo}"),
        ];
        let mut command = Command::new(program);
        command.arg("-D").arg(&data).args(settings.iter().flat_map(|setting| ["-c", setting]));
        let log = std::fs::File::create(world.stack.log_file("standby")).expect("a log file");
        command.stdout(log.try_clone().expect("a log file")).stderr(log);
        // Postgres refuses to run as root
        let process = command.uid(owner.uid()).gid(owner.gid()).current_dir(&data).spawn().expect("it starts");
        let mut url = of_the_test.clone();
        url.set_port(Some(port)).expect("a port");
        let session = superuser(&url).await;
        Self { process, data, url: url.into(), session }
    }

    async fn run(&self, sql: &str) {
        self.session.batch_execute(sql).await.expect("the superuser may");
    }

    /// The standby still receives what is committed, and does not show it.
    async fn pause_replay(&self) {
        self.run("SELECT pg_wal_replay_pause()").await;
        wait_until("replay is paused", async || {
            let state = self.session.query_one("SELECT pg_get_wal_replay_pause_state()", &[]).await.expect("a state");
            state.get::<_, String>(0) == "paused"
        })
        .await;
    }

    /// Waits until the relay has asked for more, and again, so that it has dealt with the first answer.
    async fn is_asked_again(&self, log: &LogName) {
        for _ in 0..3 {
            let now = self.session.query_one("SELECT clock_timestamp()", &[]).await.expect("a time");
            let now: std::time::SystemTime = now.get(0);
            let sql = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = $1 AND usename <> current_user AND query_start > $2";
            wait_until("the relay asks the standby", async || {
                let asked = self.session.query_one(sql, &[&log.as_str(), &now]).await.expect("pg_stat_activity");
                asked.get::<_, i64>(0) > 0
            })
            .await;
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        signal(self.process.id(), "-INT");
        // when a test has failed, there is nobody to tell
        drop((self.process.wait(), std::fs::remove_dir_all(&self.data)));
    }
}

/// The program that the stack's Postgres runs.
fn program(world: &World) -> PathBuf {
    let running = world.stack.running();
    let postgres = running.iter().find(|process| process.name == "postgres").expect("it runs");
    std::fs::read_link(format!("/proc/{}/exe", postgres.pid)).expect("its program")
}

/// A session of the superuser, who has the password of the stack.
pub async fn superuser(url: &reqwest::Url) -> Session {
    let mut config: tokio_postgres::Config = url.as_str().parse().expect("an address");
    config.user("postgres");
    crate::world::wait_for("the standby answers", async || {
        let (session, connection) = config.connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(session)
    })
    .await
}
