//! Waits until a service is ready, whoever started it.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// How long a service may take to get ready.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often to ask it.
const LOOK: Duration = Duration::from_millis(20);
/// How long to wait for one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How many lines of its log an error shows when a service has ended.
const TAIL_LINES: usize = 20;

/// Waits until the service that serves its health on this port of 127.0.0.1 says that it is ready. `is_alive` says
/// whether its process runs.
///
/// # Errors
/// When the service ends or is not ready in time; the error shows the end of its log.
pub async fn until_ready(
    name: &str,
    http_port: u16,
    log_file: &Path,
    mut is_alive: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{http_port}/readyz");
    let client = reqwest::Client::builder().timeout(ANSWER).no_proxy().build()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if !is_alive() {
            bail!("{name} ended at once.\n{}", log_tail(log_file));
        }
        if Instant::now() > deadline {
            bail!("{name} is not ready after {} s.\n{}", PATIENCE.as_secs(), log_tail(log_file));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The end of a service's log, for an error.
pub fn log_tail(log_file: &Path) -> String {
    let log = std::fs::read_to_string(log_file).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    format!("The end of its log, {}:\n{last}", log_file.display())
}
