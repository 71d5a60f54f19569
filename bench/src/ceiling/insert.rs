//! The plain insert: `INSERT … SELECT FROM unnest`, without a function, locks, heads, streams or an inbox.

use std::time::Instant;

use deadpool_postgres::Pool;
use tokio::task::JoinSet;

use super::Rows;

/// Inserts the rows, each element in a transaction of its own, over so many connections; rows a second.
pub async fn insert(pool: &Pool, transactions: Vec<Rows>, connections: usize) -> anyhow::Result<f64> {
    let rows: usize = transactions.iter().map(Rows::len).sum();
    let mut shares: Vec<Vec<Rows>> = (0..connections).map(|_| Vec::new()).collect();
    for (index, rows) in transactions.into_iter().enumerate() {
        shares[index % connections].push(rows);
    }
    let mut ready = Vec::new();
    for share in shares {
        let client = pool.get().await?;
        let statement = client.prepare_cached(include_str!("sql/insert.sql")).await?;
        ready.push((client, statement, share));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (client, statement, share) in ready {
        tasks.spawn(async move {
            for rows in &share {
                client.execute(&statement, &rows.parameters()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}
