//! `COPY`, in and out.

use std::io::Cursor;
use std::pin::pin;
use std::time::Instant;

use deadpool_postgres::Pool;
use futures::{SinkExt, TryStreamExt};
use millrace_schemas::LogName;
use tokio::task::JoinSet;

use super::Rows;

/// What `COPY` fills: the columns of [`Rows::text`].
const COPIED: &str =
    "COPY ceiling.copied (position, version, recorded_at, event_id, partition, schema, stream_id, data,
                      correlation_id, causation_id, source) FROM STDIN";

/// Copies the rows in, shared among so many connections, one transaction each; rows a second.
pub async fn copy_in(pool: &Pool, transactions: &[Rows], connections: usize) -> anyhow::Result<f64> {
    let rows: usize = transactions.iter().map(Rows::len).sum();
    let mut shares: Vec<Vec<Cursor<Vec<u8>>>> = (0..connections).map(|_| Vec::new()).collect();
    for (index, rows) in transactions.iter().enumerate() {
        shares[index % connections].push(Cursor::new(rows.text()));
    }
    let mut ready = Vec::new();
    for share in shares {
        ready.push((pool.get().await?, share));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, share) in ready {
        tasks.spawn(async move {
            let mut sink = pin!(client.copy_in::<_, Cursor<Vec<u8>>>(COPIED).await?);
            for chunk in share {
                sink.send(chunk).await?;
            }
            sink.finish().await?;
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}

/// Copies all events out, the partitions shared among so many connections; rows a second.
pub async fn copy_out(pool: &Pool, log: &LogName, connections: usize, rows: u64) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for share in 0..connections {
        let client = pool.get().await?;
        let sql = format!("COPY (SELECT * FROM \"{log}\".events WHERE partition % {connections} = {share}) TO STDOUT");
        tasks.spawn(async move {
            let mut chunks = pin!(client.copy_out(&sql).await?);
            while chunks.try_next().await?.is_some() {}
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}
