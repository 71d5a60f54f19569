//! Connections to Postgres.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Config, NoTls};

use crate::metrics;

/// How long a caller waits for a connection of the pool, or for a new one.
const WAIT: Duration = Duration::from_secs(5);
/// A connection whose peer acknowledges nothing for so long is dead, although nobody closed it.
const UNANSWERED: Duration = Duration::from_secs(15);

/// An address of Postgres that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresUrlError {
    /// It is no address. The text is not shown: it may hold a password.
    #[error("MILLRACE_POSTGRES_URL is not an address like postgresql://user:password@host:5432/database")]
    Malformed,
    /// The pool can't be made.
    #[error("the connection pool can't be made: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
}

/// Connection settings from an address.
///
/// # Errors
/// When it is none.
pub fn config(url: &str) -> Result<Config, PostgresUrlError> {
    let mut config: Config = url.parse().map_err(|_| PostgresUrlError::Malformed)?;
    config
        .application_name("millrace")
        .connect_timeout(WAIT)
        .keepalives_idle(Duration::from_secs(30))
        .tcp_user_timeout(UNANSWERED);
    Ok(config)
}

/// A pool of at most `size` connections whose search path begins with `schema`. Commits on them are durable: where the
/// server has `synchronous_commit` off, they set it on. No connection is made yet.
///
/// # Errors
/// When the address is none.
pub fn pool(url: &str, schema: &str, size: usize) -> Result<Pool, PostgresUrlError> {
    let mut config = config(url)?;
    let options = config.get_options().unwrap_or_default();
    let options = format!("{options} -c search_path={schema},public");
    config.options(options.trim());
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let pool = Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .recycle_timeout(Some(WAIT))
        .post_create(Hook::async_fn(|client, _| {
            Box::pin(async move {
                let durable = "SELECT set_config('synchronous_commit', 'on', false)
                                WHERE current_setting('synchronous_commit') = 'off'";
                client.batch_execute(durable).await.map_err(HookError::Backend)
            })
        }))
        .build()?;
    metrics::watch_pool(&pool);
    Ok(pool)
}
