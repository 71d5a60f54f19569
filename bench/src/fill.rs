//! Filling a log without the writer: what is there before anything is measured.

use anyhow::bail;
use deadpool_postgres::{Client, Pool};
use millrace_schemas::{StreamId, ledger};
use millrace_store::{Append, Log, Verdict};

use crate::appends::{Appends, opening};
use crate::work::{ACCOUNTS, account_id};

/// Commands of an append while filling.
const BATCH: usize = 1000;

/// The streams of all accounts.
pub fn streams() -> anyhow::Result<Vec<StreamId>> {
    (0..ACCOUNTS).map(|number| Ok(StreamId::new(ledger::ACCOUNT, &account_id(number))?)).collect()
}

/// Opens all accounts.
pub async fn open_accounts(log: &Log, pool: &Pool, streams: &[StreamId]) -> anyhow::Result<()> {
    let client = pool.get().await?;
    let mut numbered = streams.iter().enumerate();
    loop {
        let batch = numbered.by_ref().take(BATCH).map(|(number, stream)| opening(number, stream));
        let batch: Vec<Append> = batch.collect::<anyhow::Result<_>>()?;
        if batch.is_empty() {
            return Ok(());
        }
        append(log, &client, &batch).await?;
    }
}

/// Adds about so many events; makes the next batch while Postgres commits the last.
pub async fn fill(log: &Log, pool: &Pool, appends: Appends, events: u64) -> anyhow::Result<Appends> {
    let client = pool.get().await?;
    let mut left = events / 2;
    let size = |left: u64| usize::try_from(left).map_or(BATCH, |left| left.min(BATCH));
    // what is made must be appended: the versions of the next batch count on it
    let (mut appends, mut batch) = made(appends, size(left)).await?;
    while left > 0 {
        left -= batch.len() as u64;
        let next = made(appends, size(left));
        let ((), next) = tokio::try_join!(append(log, &client, &batch), next)?;
        (appends, batch) = next;
    }
    Ok(appends)
}

async fn made(mut appends: Appends, sets: usize) -> anyhow::Result<(Appends, Vec<Append>)> {
    tokio::task::spawn_blocking(move || {
        let batch = appends.batch(sets)?;
        Ok((appends, batch))
    })
    .await?
}

/// Appends a batch, all of which has to be committed.
pub async fn append(log: &Log, client: &Client, batch: &[Append]) -> anyhow::Result<()> {
    let verdicts = log.append(client, batch).await?;
    match verdicts.iter().find(|verdict| !matches!(verdict, Verdict::Committed(_))) {
        Some(verdict) => bail!("an append of the benchmark was not committed: {verdict:?}"),
        None => Ok(()),
    }
}
