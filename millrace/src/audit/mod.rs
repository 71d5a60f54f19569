//! `millrace audit`: the proof that Postgres, topic and read models hold the same history.
//!
//! For every partition: Postgres holds positions 1..n; the topic holds the same events in the same order, each once
//! (from where its retention begins); each read model has applied all n. The reporting read model is computed again
//! from the log, by arithmetic of the audit's own, at exactly the checkpoints that it stands at.

mod books;
mod partition;
mod tail;
mod topic;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use deadpool_postgres::Pool;
use millrace_projectors::checkpoints;
use millrace_projectors::reporting::ReportingSnapshot;
use millrace_runtime::kafka::client_config;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use millrace_store::Log;
use rdkafka::ClientConfig;
use serde::Serialize;

use crate::cli::AuditArguments;
use crate::exit::NO;
use crate::output::Output;
use books::Books;
use partition::compare;
use tail::tail_position;

/// How often what is behind is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(pub String);

/// What an audit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing differs.
    pub ok: bool,
    /// The log.
    pub log: LogName,
    /// Events compared.
    pub events: i64,
    /// Accounts whose balances were computed again.
    pub accounts: usize,
    /// The first thing that differs.
    pub first_difference: Option<String>,
    /// What stands in each partition, up to the first difference.
    pub partitions: Vec<PartitionReport>,
    /// How long it took.
    pub seconds: f64,
}

/// What stands in one partition.
#[derive(Debug, Serialize)]
pub struct PartitionReport {
    /// The partition.
    pub partition: i32,
    /// Events in Postgres, positions 1 to this.
    pub events: i64,
    /// Records of the topic that were compared.
    pub topic_records: i64,
    /// The checkpoint of each read model.
    pub read_models: BTreeMap<String, i64>,
}

/// The command. Answers no when something differs.
pub async fn run(settings: &Settings, arguments: &AuditArguments, output: Output) -> anyhow::Result<ExitCode> {
    let report = audit(settings, Duration::from_secs(arguments.wait)).await?;
    output.print(&report, text)?;
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// Audits the log of the settings, after waiting at most `patience` for what is behind.
///
/// # Errors
/// When a server does not answer. A difference is no error: the report has it.
pub async fn audit(settings: &Settings, patience: Duration) -> anyhow::Result<Report> {
    let started = Instant::now();
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 2)?;
    let log = Log::open(&pool.get().await.context("Postgres does not answer")?, name.clone()).await?;
    let audit = Audit { kafka: client_config(settings)?, topic: name.events_topic(), pool, log };
    let mut report = Report {
        ok: false,
        log: name,
        events: 0,
        accounts: 0,
        first_difference: None,
        partitions: Vec::new(),
        seconds: 0.0,
    };
    match audit.compare(patience, &mut report).await? {
        Ok(()) => report.ok = true,
        Err(Difference(difference)) => report.first_difference = Some(difference),
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

struct Audit {
    kafka: ClientConfig,
    topic: String,
    pool: Pool,
    log: Log,
}

type Checkpoints = BTreeMap<String, std::collections::HashMap<i32, i64>>;

impl Audit {
    async fn compare(&self, patience: Duration, report: &mut Report) -> anyhow::Result<Result<(), Difference>> {
        let heads = self.log.heads(&self.pool.get().await?).await?;
        let checkpoints = self.wait_for(&heads, patience).await?;
        let snapshot = ReportingSnapshot::read(&mut **self.pool.get().await?, self.log.name()).await?;
        let mut books = Books::default();
        for (partition, head) in (0..).zip(&heads) {
            let reporting = snapshot.checkpoints.get(&partition).copied().unwrap_or(0);
            let end = reporting.max(*head);
            let compared =
                compare(
                    self,
                    partition,
                    end,
                    |event| {
                        if event.position <= reporting { books.take_in(event) } else { Ok(()) }
                    },
                )
                .await?;
            let topic_records = match compared {
                Ok(topic_records) => topic_records,
                Err(difference) => return Ok(Err(difference)),
            };
            let read_models = checkpoints.iter();
            let at =
                |checkpoints: &std::collections::HashMap<i32, i64>| checkpoints.get(&partition).copied().unwrap_or(0);
            let read_models: BTreeMap<String, i64> =
                read_models.map(|(name, checkpoints)| (name.clone(), at(checkpoints))).collect();
            let behind = read_models.iter().find(|(_, checkpoint)| *checkpoint < head);
            let behind = behind.map(|(name, checkpoint)| behind_by(name, partition, *checkpoint, *head));
            report.partitions.push(PartitionReport { partition, events: end, topic_records, read_models });
            report.events += end;
            if let Some(difference) = behind {
                return Ok(Err(difference));
            }
        }
        report.accounts = books.accounts();
        Ok(books.compare(&snapshot))
    }

    /// Waits until the topic and every read model have reached `heads`, or patience ends. The checkpoints by then.
    async fn wait_for(&self, heads: &[i64], patience: Duration) -> anyhow::Result<Checkpoints> {
        let deadline = Instant::now() + patience;
        loop {
            let mut found = Checkpoints::new();
            for name in millrace_projectors::names() {
                found.insert(name.to_owned(), checkpoints(&**self.pool.get().await?, name, self.log.name()).await?);
            }
            let mut reached = (0..).zip(heads).all(|(partition, head)| {
                found.values().all(|checkpoints| checkpoints.get(&partition).copied().unwrap_or(0) >= *head)
            });
            for (partition, head) in (0..).zip(heads) {
                reached = reached && (*head == 0 || tail_position(self, partition).await? >= *head);
            }
            if reached || Instant::now() > deadline {
                return Ok(found);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn behind_by(name: &str, partition: i32, checkpoint: i64, head: i64) -> Difference {
    let behind = head - checkpoint;
    Difference(format!(
        "{name} is at position {checkpoint} of partition {partition}, {behind} behind Postgres; is its projector running?"
    ))
}

/// The report for a person.
pub fn text(report: &Report) -> String {
    let log = &report.log;
    match &report.first_difference {
        None => format!(
            "audit of {log}: ok\n  {} events in {} partitions: positions 1..n in Postgres, the same in the topic in the \
             same\n  order, applied by every read model\n  {} balances and the daily totals computed again from \
             the log: all agree\n  {:.1} s",
            report.events,
            report.partitions.len(),
            report.accounts,
            report.seconds
        ),
        Some(difference) => {
            format!("audit of {log}: NOT OK\n  first difference: {difference}\n  {:.1} s", report.seconds)
        }
    }
}
