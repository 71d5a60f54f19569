//! A log of the benchmark's own on the servers: its database, topics and schemas.

use std::path::PathBuf;

use anyhow::Context;
use deadpool_postgres::Pool;
use millrace::{Logs, SettingsArguments, prepare};
use millrace_runtime::kafka::client_config;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use millrace_store::Log;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use reqwest::Url;
use tokio_postgres::NoTls;

use crate::fill::open_accounts;
use crate::rules::Rules;

/// The topic that a flat-out producer sends to.
const CEILING: &str = "ceiling";

/// A log that nobody else uses. [`OwnLog::delete`] deletes it; dropping does not.
pub struct OwnLog {
    /// Its name; its database has the same.
    pub name: LogName,
    /// The settings, with this log and its database.
    pub settings: Settings,
    /// Who decides its commands.
    pub rules: Rules,
    /// Flags that give services the same settings.
    pub flags: Vec<String>,
    /// Where its services write their logs.
    pub folder: PathBuf,
    /// The database that was there before.
    postgres_url: String,
}

impl OwnLog {
    /// Makes it on the servers of `settings`.
    ///
    /// # Errors
    /// When a server refuses or does not answer.
    pub async fn create(arguments: &SettingsArguments, settings: &Settings, rules: Rules) -> anyhow::Result<Self> {
        let name: LogName = format!("bench{:08x}", fastrand::u32(..)).parse()?;
        let postgres_url = settings.postgres_url()?.to_owned();
        execute(&postgres_url, &format!("CREATE DATABASE {name}")).await.context("a database can't be made")?;
        let mut settings = settings.clone();
        settings.log = name.to_string();
        let url = with_database(&postgres_url, name.as_str())?;
        let (kafka, registry) = (settings.kafka_bootstrap()?.to_owned(), settings.registry_url()?.to_owned());
        let settings = settings.with_servers(&url, &kafka, &registry);
        let flags = arguments.for_services(&settings)?;
        let folder = std::env::temp_dir().join(format!("millrace-{name}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
        let log = Self { name, settings, rules, flags, folder, postgres_url };
        match prepare(&Logs::new([rules.log()]), &log.settings).await {
            Ok(()) => Ok(log),
            Err(error) => {
                log.delete().await?;
                Err(error)
            }
        }
    }

    /// Opens it, and every account in it. The pool has `connections` connections.
    pub async fn open(&self, connections: usize) -> anyhow::Result<(Log, Pool)> {
        let pool = self.pool(connections)?;
        let log = Log::open(&pool.get().await?, self.name.clone()).await?;
        open_accounts(&log, &pool).await?;
        Ok((log, pool))
    }

    /// Connections to its database.
    pub fn pool(&self, connections: usize) -> anyhow::Result<Pool> {
        Ok(postgres::pool(self.settings.postgres_url()?, self.name.as_str(), connections)?)
    }

    /// The topic for a flat-out producer.
    pub fn ceiling_topic(&self) -> String {
        format!("{}.{CEILING}", self.name)
    }

    /// Deletes its database, topics, groups and subjects. Stop its services first.
    ///
    /// # Errors
    /// When a server refuses or does not answer; then something may be left.
    pub async fn delete(&self) -> anyhow::Result<()> {
        // Not DROP DATABASE … WITH (FORCE): that fails while Postgres' own autovacuum is at the tables.
        let alone = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND usename = current_user",
            self.name
        );
        execute(&self.postgres_url, &alone).await?;
        let database = execute(&self.postgres_url, &format!("DROP DATABASE {}", self.name)).await;
        let topics = self.delete_topics().await;
        let subjects = self.delete_subjects().await;
        database.with_context(|| format!("database {} can't be dropped", self.name))?;
        topics.with_context(|| format!("the topics of {} can't be deleted", self.name))?;
        subjects.with_context(|| format!("the schemas of {} can't be deleted", self.name))?;
        Ok(std::fs::remove_dir_all(&self.folder)?)
    }

    async fn delete_topics(&self) -> anyhow::Result<()> {
        let name = &self.name;
        let topics = [
            name.commands_topic(),
            name.events_topic(),
            name.outcomes_topic(),
            name.dead_letters_topic(),
            self.ceiling_topic(),
        ];
        let projectors = self.rules.log().projectors();
        let groups = projectors.iter().map(|projector| name.projector_group(projector.name(), 1));
        let groups: Vec<String> = groups.chain([name.writer_group(), name.relay_group()]).collect();
        let admin: AdminClient<DefaultClientContext> = client_config(&self.settings)?.create()?;
        let (topics, groups): (Vec<&str>, Vec<&str>) =
            (topics.iter().map(String::as_str).collect(), groups.iter().map(String::as_str).collect());
        // Each result is its own: that of a topic or group which was never made is of no interest.
        admin.delete_topics(&topics, &AdminOptions::new()).await?;
        admin.delete_groups(&groups, &AdminOptions::new()).await?;
        Ok(())
    }

    async fn delete_subjects(&self) -> anyhow::Result<()> {
        let base = self.settings.registry_url()?.trim_end_matches('/');
        let client = reqwest::Client::new();
        let log = self.rules.log();
        for record in log.definition().records() {
            let url = format!("{base}/subjects/{}", record.subject(&self.name));
            for url in [url.clone(), format!("{url}?permanent=true")] {
                client.delete(url).send().await?;
            }
        }
        Ok(())
    }
}

async fn execute(url: &str, sql: &str) -> anyhow::Result<()> {
    let (client, connection) = postgres::config(url)?.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await?;
    drop(client);
    Ok(connection.await??)
}

/// The same address with another database.
fn with_database(url: &str, database: &str) -> anyhow::Result<String> {
    // the address is not in the error: it may hold a password
    let mut url =
        Url::parse(url).ok().context("MILLRACE_POSTGRES_URL has to be an address with a scheme and a host")?;
    url.set_path(database);
    Ok(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_keeps_all_else_of_the_address() {
        let url = with_database("postgresql://u:p%40@127.0.0.1:25432/millrace?connect_timeout=5", "bench1").unwrap();
        assert_eq!(url, "postgresql://u:p%40@127.0.0.1:25432/bench1?connect_timeout=5");
        assert!(with_database("host=localhost dbname=x", "bench1").is_err());
    }
}
