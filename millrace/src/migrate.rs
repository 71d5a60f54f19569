//! `millrace migrate`: tables and topics as this version needs them.

use std::process::ExitCode;

use anyhow::Context;
use millrace_runtime::kafka::{TopicSpec, client_config, create_topics};
use millrace_runtime::postgres::NoConnection;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use serde::Serialize;
use tokio_postgres::NoTls;

use crate::output::Output;

/// What is up to date.
#[derive(Serialize)]
struct Migrated<'a> {
    log: &'a str,
    partitions: u32,
}

/// The command.
pub async fn run(settings: &Settings, output: Output) -> anyhow::Result<ExitCode> {
    migrate(settings).await?;
    let migrated = Migrated { log: &settings.log, partitions: settings.partitions };
    output
        .print(&migrated, |migrated| format!("log {}, its topics and the read models are up to date", migrated.log))?;
    Ok(ExitCode::SUCCESS)
}

/// Creates or updates the log's tables, the read models' tables and the log's topics.
///
/// # Errors
/// When a server refuses or does not answer.
pub async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let log: LogName = settings.log.parse()?;
    let url = settings.postgres_url()?;
    let connected = postgres::config(url)?.connect(NoTls).await;
    let (mut client, connection) = connected.map_err(|error| NoConnection::new(url, &error))?;
    let connection = tokio::spawn(connection);
    millrace_store::migrate(&mut client, &log, settings.partitions).await?;
    millrace_projectors::migrate(&mut client).await?;
    drop(client);
    connection.await?.context("the connection to Postgres broke")?;
    let place = || format!("the topics in Kafka at {}", settings.kafka_bootstrap().unwrap_or_default());
    create_topics(&client_config(settings)?, &topics(settings, &log)).await.with_context(place)?;
    Ok(())
}

/// The log's topics. Events are kept until somebody decides otherwise; a dead letter is a whole command and more.
fn topics(settings: &Settings, log: &LogName) -> Vec<TopicSpec> {
    let topic = |name: String, settings_of_topic: Vec<(&'static str, &'static str)>| TopicSpec {
        name,
        partitions: settings.partitions,
        replication_factor: settings.replication_factor,
        settings: settings_of_topic,
    };
    vec![
        topic(log.commands_topic(), vec![]),
        topic(log.events_topic(), vec![("retention.ms", "-1"), ("cleanup.policy", "delete")]),
        topic(log.outcomes_topic(), vec![]),
        topic(log.dead_letters_topic(), vec![("retention.ms", "-1"), ("max.message.bytes", "4194304")]),
    ]
}
