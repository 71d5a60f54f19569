//! Asks PostgreSQL whether it answers, and creates the two databases that the stack needs.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::error::{Result, StackError};
use crate::folder::DataDir;
use crate::server::Server;

use super::health::{NotReady, Probe};
use super::password::{self, Password};
use super::postgres::SUPERUSER;

/// Millrace's database, owned by the role of the same name.
pub(crate) const MILLRACE: &str = "millrace";
/// The registry's database and role. Kafka's records carry ids of its schemas, so it must last as long as they do.
pub(crate) const REGISTRY: &str = "registry";

/// The databases of a server, as its superuser reaches them.
pub(crate) struct Databases<'a> {
    pub data_dir: &'a DataDir,
    pub port: u16,
    pub password: &'a Password,
}

impl Probe for Databases<'_> {
    async fn ask(&self) -> Result<(), NotReady> {
        let client = self.connect().await.map_err(|error| self.not_ready(&error))?;
        client.simple_query("SELECT 1").await.map_err(|error| self.not_ready(&error))?;
        Ok(())
    }
}

impl Databases<'_> {
    /// Creates the roles and databases that are missing. Safe to call at every start.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let client = self.connect().await.map_err(self.failed("logging in"))?;
        for name in [MILLRACE, REGISTRY] {
            self.ensure_role(&client, name).await.map_err(self.failed("creating a role"))?;
            self.ensure_database(&client, name).await.map_err(self.failed("creating a database"))?;
        }
        Ok(())
    }

    async fn ensure_role(&self, client: &Client, role: &str) -> Result<(), tokio_postgres::Error> {
        if client.query_opt(include_str!("sql/role_exists.sql"), &[&role]).await?.is_some() {
            return Ok(());
        }
        let create = include_str!("sql/create_role.sql").replace("{password}", self.password.expose());
        client.batch_execute(&create.replace("{role}", role)).await
    }

    async fn ensure_database(&self, client: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
        if client.query_opt(include_str!("sql/database_exists.sql"), &[&name]).await?.is_some() {
            return Ok(());
        }
        let create = include_str!("sql/create_database.sql").replace("{database}", name);
        client.batch_execute(&create.replace("{role}", name)).await
    }

    /// The connection ends when the client is dropped.
    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(SUPERUSER).dbname("postgres");
        config.password(self.password.expose());
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn not_ready(&self, error: &tokio_postgres::Error) -> NotReady {
        match error.code() {
            Some(&SqlState::INVALID_PASSWORD) => NotReady::GiveUp(password::lost(self.data_dir)),
            _ => NotReady::Retry(error.to_string()),
        }
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> StackError {
        let log = self.data_dir.log(Server::Postgres.name());
        move |source| StackError::Postgres { doing, source, log }
    }
}
