//! `millrace migrate` creates tables and topics, or brings them up to date.

use std::process::ExitCode;

use anyhow::Context;
use millrace_runtime::kafka::{TopicSpec, client_config, create_topics};
use millrace_runtime::postgres::NoConnection;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use serde::Serialize;
use tokio_postgres::NoTls;

use crate::logs::Logs;
use crate::output::Output;

/// The result as JSON.
#[derive(Serialize)]
struct Migrated<'a> {
    log: &'a str,
    partitions: u32,
}

/// Runs the command.
pub async fn run(logs: &Logs, settings: &Settings, output: Output) -> anyhow::Result<ExitCode> {
    migrate(logs, settings).await?;
    let migrated = Migrated { log: &settings.log, partitions: settings.partitions };
    output
        .print(&migrated, |migrated| format!("log {}, its topics and the read models are up to date", migrated.log))?;
    Ok(ExitCode::SUCCESS)
}

/// Creates or updates the log's tables, the read models' tables and the log's topics.
///
/// # Errors
/// When a server refuses or does not answer.
pub async fn migrate(logs: &Logs, settings: &Settings) -> anyhow::Result<()> {
    let log: LogName = settings.log.parse()?;
    let kind = logs.built_in(settings)?;
    let url = settings.postgres_url()?;
    let connected = postgres::config(url)?.connect(NoTls).await;
    let (mut client, connection) = connected.map_err(|error| NoConnection::new(url, &error))?;
    let connection = tokio::spawn(connection);
    millrace_store::migrate(&mut client, &log, settings.partitions, &kind.definition().name).await?;
    millrace_projector_runner::migrate(&mut client, &kind.projectors()).await?;
    drop(client);
    connection.await?.context("the connection to Postgres broke")?;
    let place = || format!("the topics in Kafka at {}", settings.kafka_bootstrap().unwrap_or_default());
    create_topics(&client_config(settings)?, &topics(settings, &log, settings.partitions)).await.with_context(place)?;
    Ok(())
}

/// The log's topics, to be created with that many partitions; those of commands and dead letters may have been created
/// with another number. Kafka keeps events for ever unless somebody changes that. A dead letter has a whole command and
/// added headers, so its topic takes larger records.
pub(crate) fn topics(settings: &Settings, log: &LogName, partitions: u32) -> Vec<TopicSpec> {
    let topic = |name: String, is_fixed, settings_of_topic: Vec<(&'static str, &'static str)>| TopicSpec {
        name,
        partitions,
        is_fixed,
        replication_factor: settings.replication_factor,
        settings: settings_of_topic,
    };
    // what is acknowledged outlives one broker
    let durable = |mut settings_of_topic: Vec<(&'static str, &'static str)>| {
        if settings.replication_factor >= 3 {
            settings_of_topic.push(("min.insync.replicas", "2"));
        }
        settings_of_topic
    };
    vec![
        topic(log.commands_topic(), false, durable(vec![])),
        topic(
            log.events_topic(),
            true,
            durable(vec![
                ("retention.ms", "-1"),
                ("retention.bytes", "-1"),
                ("cleanup.policy", "delete"),
                ("message.timestamp.type", "CreateTime"),
                // events have timestamps of Postgres' clock, which may be ahead of the brokers'
                ("message.timestamp.after.max.ms", "9223372036854775807"),
            ]),
        ),
        topic(log.outcomes_topic(), true, vec![]),
        topic(log.dead_letters_topic(), false, durable(vec![("retention.ms", "-1"), ("max.message.bytes", "4194304")])),
    ]
}
