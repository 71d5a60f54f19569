//! A service as a process of its own, with the command line that `millrace up` gives it.
//!
//! Unlike the services of a stack it is a child of this program: it ends with it, several may be of one kind, and it runs
//! on whatever servers the settings name.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use millrace::{log_tail, until_ready};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::own_log::OwnLog;
use crate::rules;

/// How long it may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked for its metrics.
const LOOK: Duration = Duration::from_millis(50);

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
    /// Starts so many writers of a log, and waits until each has its share of the partitions.
    pub async fn writers(log: &OwnLog, count: u16) -> anyhow::Result<Vec<Self>> {
        let mut writers = Vec::new();
        for number in 1..=count {
            let name = if count == 1 { "writer".to_owned() } else { format!("writer-{number}") };
            writers.push(Self::start(log, &name, vec!["writer".to_owned()]).await?);
        }
        for writer in &mut writers {
            writer.wait_until_ready().await?;
        }
        while !have_shares(&writers, log.settings.partitions).await? {
            writers.iter_mut().try_for_each(Self::check)?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(writers)
    }

    /// Starts the relay of a log.
    pub async fn relay(log: &OwnLog) -> anyhow::Result<Self> {
        Self::start(log, "relay", vec!["relay".to_owned()]).await
    }

    /// Starts a projector of a log.
    pub async fn projector(log: &OwnLog, name: &str) -> anyhow::Result<Self> {
        Self::start(log, name, vec!["projector".into(), name.into()]).await
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
            .env(rules::VARIABLE, log.rules.name())
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
        let child = &mut self.child;
        until_ready(&self.name, self.port, &self.log_file, || matches!(child.try_wait(), Ok(None))).await
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    /// When it has ended; shows the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} has ended ({status}).\n{}", self.name, log_tail(&self.log_file)),
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

    /// The sum of a metric over its labels; 0 where it is not there.
    ///
    /// # Errors
    /// When the service does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let metrics = client.get(format!("http://127.0.0.1:{}/metrics", self.port)).send().await?.text().await?;
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        Ok(metrics.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// Whether each of the writers has partitions of the command topic, and all partitions have a writer.
async fn have_shares(writers: &[Service], partitions: u32) -> anyhow::Result<bool> {
    let mut sum = 0.0;
    for writer in writers {
        match writer.metric("millrace_writer_assigned_partitions").await? {
            0.0 => return Ok(false),
            assigned => sum += assigned,
        }
    }
    Ok((sum - f64::from(partitions)).abs() < 0.5)
}
