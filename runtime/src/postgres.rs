//! Connections to Postgres.
//!
//! Promises: every session commits durably (but for a read model's, which says so) and runs its transactions READ
//! COMMITTED, whatever the server, the database, the role or the address say.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolBuilder, RecyclingMethod, Runtime,
};
use tokio_postgres::config::Host;
use tokio_postgres::{Config, NoTls};

use crate::metrics;

/// How long a caller waits for a connection of the pool, or for a new one.
const WAIT: Duration = Duration::from_secs(5);
/// A connection whose peer acknowledges nothing for so long is dead, although nobody closed it.
const UNANSWERED: Duration = Duration::from_secs(15);
/// Of every session. An append locks first and then reads what is committed: under a stricter isolation it would read
/// what was committed before it had the lock.
const ISOLATION: (&str, &str) = ("default_transaction_isolation", "read committed");
/// A plan that was made while the log was empty must not scan or sort it when it is full: everything that is read of a log
/// is read by an index.
const BY_INDEX: &[(&str, &str)] = &[("enable_seqscan", "off"), ("enable_bitmapscan", "off")];
/// The server's side of [`UNANSWERED`]: a process that is stopped or gone must not go on holding locks. No transaction of
/// ours waits for anything between its statements.
const ABANDONED: [(&str, &str); 4] = [
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// An address of Postgres that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresUrlError {
    /// The text is not an address. It is not shown: it may hold a password.
    #[error("MILLRACE_POSTGRES_URL is not an address like postgresql://user:password@host:5432/database")]
    Malformed,
    /// The pool's own settings contradict each other.
    #[error("the connection pool can't be made: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
}

/// Postgres gave no connection.
#[derive(Debug, thiserror::Error)]
#[error("no connection to Postgres at {address}: {reason}")]
pub struct NoConnection {
    address: String,
    reason: String,
}

/// Connection settings from an address, for a connection outside of a pool.
///
/// ```
/// let config = millrace_runtime::postgres::config("postgresql://me@db.example/bank")?;
/// assert_eq!(config.get_options(), Some(r"-c default_transaction_isolation=read\ committed"));
/// # Ok::<(), millrace_runtime::postgres::PostgresUrlError>(())
/// ```
///
/// # Errors
/// When the text is not an address with a host.
pub fn config(url: &str) -> Result<Config, PostgresUrlError> {
    let mut config: Config = url.parse().map_err(|_| PostgresUrlError::Malformed)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(PostgresUrlError::Malformed);
    }
    config
        .application_name("millrace")
        .connect_timeout(WAIT)
        .keepalives_idle(Duration::from_secs(30))
        .tcp_user_timeout(UNANSWERED);
    add_options(&mut config, [ISOLATION]);
    Ok(config)
}

/// Sets settings of the session, over those of the server, the database, the role and the address.
fn add_options<'o>(config: &mut Config, settings: impl IntoIterator<Item = (&'o str, &'o str)>) {
    let given = config.get_options().map(ToOwned::to_owned);
    // of a setting that comes twice the last one counts
    let ours = settings.into_iter().map(|(name, value)| format!("-c {name}={}", escaped(value)));
    let options: Vec<String> = given.into_iter().chain(ours).collect();
    config.options(options.join(" "));
}

/// A value as it stands among the options. Source: PostgreSQL's documentation, libpq, `options`.
fn escaped(value: &str) -> String {
    value.chars().fold(String::new(), |mut escaped, c| {
        if c == '\\' || c.is_ascii_whitespace() {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}

/// Where Postgres is, without user or password: for people to read.
pub fn shown_address(url: &str) -> String {
    let Ok(config) = config(url) else { return "an invalid address".to_owned() };
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = if config.get_hosts().is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        hosts.collect()
    };
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let places = hosts.iter().enumerate().map(|(index, host)| format!("{host}:{}", port(index)));
    format!("{}/{}", places.collect::<Vec<_>>().join(","), config.get_dbname().unwrap_or_default())
}

/// A connection of the pool, for a command that does not try again.
///
/// # Errors
/// When Postgres does not answer, or refuses; says where it was looked for.
pub async fn connect(pool: &Pool, url: &str) -> Result<Object, NoConnection> {
    pool.get().await.map_err(|error| NoConnection::new(url, &error))
}

impl NoConnection {
    /// Of the error of an attempt to connect: its last cause says most.
    pub fn new(url: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut last = error;
        while let Some(source) = last.source() {
            last = source;
        }
        Self { address: shown_address(url), reason: last.to_string() }
    }
}

/// A pool of at most `size` connections whose search path begins with `schema`. Commits on them are durable, also on the
/// disk of a synchronous standby: where the server's `synchronous_commit` says less than on, they set it on. No connection
/// is made yet.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = millrace_runtime::postgres::pool("postgresql://me@db.example/bank", "orders", 2)?;
/// let row = pool.get().await?.query_one("SELECT count(*) FROM events", &[]).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When `url` is not an address.
pub fn pool(url: &str, schema: &str, size: usize) -> Result<Pool, PostgresUrlError> {
    let durable = Hook::async_fn(|client: &mut ClientWrapper, _| {
        Box::pin(async move {
            let durable = "SELECT set_config('synchronous_commit', 'on', false)
                            WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";
            client.batch_execute(durable).await.map_err(HookError::Backend)
        })
    });
    finish(builder(url, schema, size, BY_INDEX)?.post_create(durable))
}

/// The same for a read model: its commits do not wait for the disk. When the server crashes, the last of them can be lost,
/// rows and checkpoint together; then the events are applied again.
///
/// # Errors
/// When `url` is not an address.
pub fn read_model_pool(url: &str, schema: &str, size: usize) -> Result<Pool, PostgresUrlError> {
    finish(builder(url, schema, size, &[("synchronous_commit", "off")])?)
}

fn builder(url: &str, schema: &str, size: usize, more: &[(&str, &str)]) -> Result<PoolBuilder, PostgresUrlError> {
    let mut config = config(url)?;
    let search_path = format!("{schema},public");
    add_options(
        &mut config,
        [("search_path", search_path.as_str())].into_iter().chain(ABANDONED).chain(more.iter().copied()),
    );
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let builder = Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1);
    Ok(builder.wait_timeout(Some(WAIT)).create_timeout(Some(WAIT)).recycle_timeout(Some(WAIT)))
}

fn finish(builder: PoolBuilder) -> Result<Pool, PostgresUrlError> {
    let pool = builder.build()?;
    metrics::watch_pool(&pool);
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgresql://me:hunter2@db.example:6000/bank", "db.example:6000/bank"),
            ("postgresql://me:hunter2@a,b/bank", "a:5432,b:5432/bank"),
            ("host=/run/postgres user=me password=hunter2", "/run/postgres:5432/"),
        ] {
            assert_eq!(shown_address(url), shown);
        }
    }

    #[test]
    fn an_address_without_a_host_is_refused() {
        for url in ["", "user=me", "hunter2"] {
            assert!(matches!(config(url), Err(PostgresUrlError::Malformed)), "{url}");
        }
    }

    #[test]
    fn our_session_settings_stand_after_those_of_the_address() {
        let config =
            config("postgresql://me@db/bank?options=-c%20default_transaction_isolation%3Dserializable").unwrap();
        let expected =
            r"-c default_transaction_isolation=serializable -c default_transaction_isolation=read\ committed";
        assert_eq!(config.get_options(), Some(expected));
        assert_eq!(escaped(r"a\b c"), r"a\\b\ c");
    }
}
