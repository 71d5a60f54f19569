//! Filling a log without a writer: what it holds before anything is measured.

use anyhow::bail;
use deadpool_postgres::{Client, Pool};
use millrace_store::{AppendBatch, Appended, Log};

use crate::appends::Appends;
use crate::work::ACCOUNTS;

/// Commands of an append while filling.
const BATCH: usize = 1000;

/// Opens all accounts.
pub async fn open_accounts(log: &Log, pool: &Pool) -> anyhow::Result<()> {
    let client = pool.get().await?;
    let mut appends = Appends::before_opening(log, &client).await?;
    for first in (0..ACCOUNTS).step_by(BATCH) {
        append(log, &client, &appends.open_accounts(first..ACCOUNTS.min(first + BATCH))?).await?;
    }
    Ok(())
}

/// Adds about so many events. Makes the next batch while Postgres commits the last.
pub async fn fill(log: &Log, pool: &Pool, appends: Appends, events: u64) -> anyhow::Result<Appends> {
    let client = pool.get().await?;
    let mut left = events / 2;
    let size = |left: u64| usize::try_from(left).map_or(BATCH, |left| left.min(BATCH));
    // every batch that is made must be appended: the next one builds on it
    let (mut appends, mut batch) = made(appends, size(left)).await?;
    while left > 0 {
        left -= batch.commands.len() as u64;
        let next = made(appends, size(left));
        let ((), next) = tokio::try_join!(append(log, &client, &batch), next)?;
        (appends, batch) = next;
    }
    Ok(appends)
}

async fn made(mut appends: Appends, sets: usize) -> anyhow::Result<(Appends, AppendBatch)> {
    tokio::task::spawn_blocking(move || {
        let batch = appends.batch(sets)?;
        Ok((appends, batch))
    })
    .await?
}

/// Appends a batch, all of which must be committed.
pub async fn append(log: &Log, client: &Client, batch: &AppendBatch) -> anyhow::Result<()> {
    match log.append(client, batch).await? {
        Appended::Committed(_) => Ok(()),
        other => bail!("an append of the benchmark was not committed: {other:?}"),
    }
}
