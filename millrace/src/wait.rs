//! `millrace wait TOKEN`, and the same after `millrace send`: until a read model shows a write.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use deadpool_postgres::Object;
use millrace_projector_runner::{checkpoints, paused, read_models};
use millrace_runtime::Settings;
use millrace_schemas::Token;
use serde::Serialize;

use crate::cli::WaitArguments;
use crate::connection::connect;
use crate::exit::{NO, Usage};
use crate::output::Output;
use crate::projectors::Paused;

/// How often to ask the read model.
const LOOK: Duration = Duration::from_millis(10);

/// The result as JSON.
#[derive(Serialize)]
struct Waited<'a> {
    projector: &'a str,
    token: &'a str,
    applied: bool,
    /// How long that took, in seconds.
    seconds: f64,
}

/// Runs the command. The answer is no when the time is up.
pub async fn run(settings: &Settings, arguments: &WaitArguments, output: Output) -> anyhow::Result<ExitCode> {
    let WaitArguments { token, projector, timeout } = arguments;
    let tokens = parse(token)?;
    check_read_models(settings, std::slice::from_ref(projector)).await?;
    let began = Instant::now();
    let behind = wait_for(settings, projector, &tokens, Duration::from_secs(u64::from(*timeout))).await?;
    if let Some(behind) = &behind {
        eprintln!("millrace: {behind}");
    }
    let applied = behind.is_none();
    let waited = Waited { projector, token, applied, seconds: began.elapsed().as_secs_f64() };
    output.print(&waited, |waited| {
        let Waited { projector, token, seconds, .. } = waited;
        if applied { format!("{projector} has applied {token}") } else { format!("not after {seconds:.0} s") }
    })?;
    Ok(if applied { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// Reads a token's text, which may be several joined by commas.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Vec<Token>, Usage> {
    text.split(',').map(|token| token.parse().map_err(|error| Usage(format!("{error}")))).collect()
}

/// Waits until a projector's read model shows the writes of all tokens. When the time is up, returns how far it is. The
/// read model must be there: see [`check_read_models`].
///
/// # Errors
/// When Postgres does not answer.
pub async fn wait_for(
    settings: &Settings,
    projector: &str,
    tokens: &[Token],
    patience: Duration,
) -> anyhow::Result<Option<String>> {
    let client = connect(settings).await?;
    let joined = tokens.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let statement = client.prepare(&format!("SELECT \"{projector}\".has_applied($1)")).await?;
    let deadline = Instant::now() + patience;
    let mut is_first = true;
    loop {
        if client.query_one(&statement, &[&joined]).await?.try_get(0)? {
            return Ok(None);
        }
        if std::mem::take(&mut is_first)
            && let Some(pause) = paused(&**client, projector).await?
        {
            let pause = Paused::from(pause);
            eprintln!("millrace: {projector} is {}; waiting for it", pause.line());
        }
        if Instant::now() >= deadline {
            return Ok(Some(how_far(&client, projector, tokens).await?));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Checks that the database has the read models of these projectors.
///
/// # Errors
/// When it lacks one, or does not answer.
pub async fn check_read_models(settings: &Settings, projectors: &[String]) -> anyhow::Result<()> {
    if projectors.is_empty() {
        return Ok(());
    }
    let client = connect(settings).await?;
    for projector in projectors {
        check(&client, projector).await?;
    }
    Ok(())
}

/// Checks that the database has the read model of this projector.
///
/// # Errors
/// When it lacks it, or does not answer.
pub async fn check(client: &Object, projector: &str) -> anyhow::Result<()> {
    let names = read_models(&***client).await.context("the read models can't be listed")?;
    if names.iter().any(|name| name == projector) {
        return Ok(());
    }
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    bail!(Usage(format!(
        "the database has no read model {projector}; it has: {there}. `millrace migrate` makes those of the program, \
         `millrace projector apply` those in SQL"
    )))
}

/// What the read model has not applied yet.
async fn how_far(client: &Object, projector: &str, tokens: &[Token]) -> anyhow::Result<String> {
    let mut missing = Vec::new();
    for token in tokens {
        let applied = checkpoints(&***client, projector, &token.log).await?;
        match applied.get(&token.partition) {
            Some(position) if *position >= token.position => {}
            Some(position) => missing.push(format!("{token}: it has applied up to {position}")),
            None => missing.push(format!("{token}: it has applied nothing of that partition")),
        }
    }
    let missing = missing.join("; ");
    Ok(format!(
        "{projector} does not show this yet: {missing}. Does it run, and read that log? `millrace lag` says more"
    ))
}
