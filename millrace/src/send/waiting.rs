//! Waiting for the outcome of a command that was sent.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use millrace_runtime::kafka::Delivered;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, Outcome};
use millrace_store::Log;
use tokio::time::Instant;

use crate::exit::NO;
use crate::output::Output;
use crate::{dead_letters, outcome};

/// How long an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked for among the dead letters.
const LOOK_ASIDE: Duration = Duration::from_secs(1);

/// Waits for the outcome of the command `id`, which was delivered alone, and prints it. Dead letters are told apart by
/// where they came from: an earlier command with the same id may have become one.
pub async fn wait_for_outcome(
    settings: &Settings,
    id: &str,
    delivered: &Delivered,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = pool.get().await.context("Postgres does not answer")?;
    let log = Log::open(&client, name).await?;
    let deadline = Instant::now() + PATIENCE;
    let mut look_aside = Instant::now() + LOOK_ASIDE;
    while Instant::now() < deadline {
        if let Some(outcome) = log.outcome(&client, id).await? {
            return outcome::print(&outcome, output);
        }
        if Instant::now() >= look_aside {
            let letters = dead_letters::read(settings).await?;
            if let Some(letter) = letters.into_iter().find(|letter| letter.is_last_of(delivered)) {
                return outcome::print(&Outcome::from(letter), output);
            }
            look_aside = Instant::now() + LOOK_ASIDE;
        }
        tokio::time::sleep(LOOK).await;
    }
    let seconds = PATIENCE.as_secs();
    eprintln!(
        "millrace: command {id} is in Kafka, and has no outcome after {seconds} s: perhaps no writer runs, or it is \
         behind.\nAsk again: millrace outcome {id}; what writers could not read: millrace dead-letters list"
    );
    Ok(ExitCode::from(NO))
}
