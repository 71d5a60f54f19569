//! Starts and kills processes of `millrace` for a test.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::world::wait_until;

/// A command of `millrace` with just this environment.
pub fn millrace(environment: &[(String, String)], arguments: &[&str]) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_millrace")), environment, arguments)
}

fn program(program: &Path, environment: &[(String, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MILLRACE_")) {
        command.env_remove(name);
    }
    command.envs(environment.iter().map(|(name, value)| (name, value))).args(arguments).stdin(Stdio::null());
    command
}

/// A running service. Dropping it kills the process.
pub struct Service {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    port: u16,
    child: Child,
}

impl Service {
    /// Starts the service, and appends its output to the file.
    pub fn start(arguments: Vec<String>, environment: Vec<(String, String)>, log: PathBuf) -> Self {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_millrace")), arguments, environment, log)
    }

    /// The same of another program.
    pub fn start_program(
        program: &Path,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        log: PathBuf,
    ) -> Self {
        let (port, program) = (free_port(), program.to_owned());
        let child = spawn(&program, &arguments, &environment, &log, port);
        Self { program, arguments, environment, log, port, child }
    }

    /// Waits until it says that it is ready.
    pub async fn wait_until_ready(&mut self) {
        let Self { arguments, log, port, child, .. } = self;
        let is_alive = || matches!(child.try_wait(), Ok(None));
        let ready = millrace::until_ready(&arguments.join(" "), *port, log, is_alive).await;
        ready.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The service's output until now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    /// The address where it serves health and metrics.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its metrics, in Prometheus' text format.
    pub async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.address());
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        match client.get(&url).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The sum of a metric over its labels; 0 when the service does not have it.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics().await;
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        metrics.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Kills it without warning (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Starts it again, with the same arguments.
    pub fn restart(&mut self) {
        self.port = free_port();
        self.child = spawn(&self.program, &self.arguments, &self.environment, &self.log, self.port);
    }

    /// Asks it to leave (SIGTERM), and waits until it has ended. Returns its exit code.
    pub async fn leave(&mut self) -> Option<i32> {
        self.signal("-TERM");
        wait_until("a service leaves when asked to", async || matches!(self.child.try_wait(), Ok(Some(_)))).await;
        self.child.wait().expect("it has ended").code()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Its number in the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Stops a process where it is (SIGSTOP), and returns when it stands still.
pub async fn freeze(pid: u32) {
    signal(pid, "-STOP");
    let threads = format!("/proc/{pid}/task");
    wait_until("it stands still", async || {
        let threads = std::fs::read_dir(&threads).expect("its threads").flatten();
        let mut states = threads.map(|thread| std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default());
        // pid (name) state …; a thread that has ended has none
        states.all(|stat| stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T')))
    })
    .await;
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

impl Drop for Service {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(path: &Path, arguments: &[String], environment: &[(String, String)], log: &PathBuf, port: u16) -> Child {
    let address = format!("127.0.0.1:{port}");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--http-address", &address]).collect();
    let log = File::options().create(true).append(true).open(log).expect("a log file");
    let mut command = program(path, environment, &arguments);
    command.stdout(log.try_clone().expect("a log file")).stderr(log).spawn().expect("millrace starts")
}

/// A port that nobody listens on now. It is none of the ephemeral ones, which any outgoing connection could take before
/// the service listens, and none that the local stack chooses.
pub fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..12_000));
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}
