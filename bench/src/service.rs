//! A service as a process of its own, as `millrace up` would start it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::own_log::OwnLog;

/// How long it may take to be ready, and to end when asked to.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it is ready.
const LOOK: Duration = Duration::from_millis(20);
/// How much of its log is shown when it has ended.
const TAIL_LINES: usize = 20;

/// A running service. Dropped, it is killed.
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    child: Child,
    port: u16,
    log_file: PathBuf,
}

impl Service {
    /// Starts the writer of a log.
    pub async fn writer(log: &OwnLog) -> anyhow::Result<Self> {
        Self::start(log, "writer", vec!["writer".to_owned()]).await
    }

    /// Starts the relay of a log.
    pub async fn relay(log: &OwnLog) -> anyhow::Result<Self> {
        Self::start(log, "relay", vec!["relay".to_owned()]).await
    }

    /// Starts a projector of a log.
    pub async fn projector(log: &OwnLog, name: &str) -> anyhow::Result<Self> {
        let group = log.projector_group(name);
        Self::start(log, name, vec!["projector".into(), name.into(), "--group".into(), group]).await
    }

    async fn start(log: &OwnLog, name: &str, arguments: Vec<String>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("the millrace program can't be found")?;
        let log_file = log.folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log_file);
        let file = file.with_context(|| format!("{} can't be written", log_file.display()))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(&log.flags)
            .args(["--http-address", &format!("127.0.0.1:{port}")])
            .env("MILLRACE_POSTGRES_URL", log.settings.postgres_url()?)
            .env("MILLRACE_KAFKA_BOOTSTRAP", log.settings.kafka_bootstrap()?)
            .env("MILLRACE_REGISTRY_URL", log.settings.registry_url()?)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{name} can't be started"))?;
        let pid = child.id().with_context(|| format!("{name} has no process"))?;
        Ok(Self { name: name.to_owned(), pid, child, port, log_file })
    }

    /// Returns when it is ready.
    ///
    /// # Errors
    /// When it ends, or does not get ready; shows the end of its log.
    pub async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
        let deadline = Instant::now() + PATIENCE;
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            self.check()?;
            if Instant::now() > deadline {
                bail!("{} is not ready after {} s.\n{}", self.name, PATIENCE.as_secs(), self.tail());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// When it has ended; shows the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} has ended ({status}).\n{}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// Asks it to leave and waits until it has. One that does not is killed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).with_context(|| format!("{} can't be told to end", self.name))?;
        }
        if tokio::time::timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log_file).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("The end of its log, {}:\n{last}", self.log_file.display())
    }
}
