//! `millrace audit`: the proof that Postgres, topic and read models hold the same history.
//!
//! For every partition: Postgres holds positions 1..n; the topic holds the same events in the same order, each once
//! (from where its retention begins), and nothing else, to its end; each read model has applied all n, and none that
//! Postgres does not have. While events come, n is what Postgres held when the audit began, and the topic is still
//! compared to the end that it had when its reading began. The reporting read model is computed again from the log, by
//! arithmetic of the audit's own, at exactly the checkpoints that it stands at.

mod books;
mod difference;
mod partition;
mod report;
mod tail;
mod topic;
mod waiting;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use millrace_projectors::reporting::ReportingSnapshot;
use millrace_runtime::kafka::client_config;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::LogName;
use millrace_store::Log;
use rdkafka::ClientConfig;

use crate::cli::AuditArguments;
use crate::exit::NO;
use crate::output::Output;
use books::Books;
use difference::{Difference, Stand};
use partition::compare;
use report::PartitionReport;
pub use report::{Report, text};
use waiting::{Checkpoints, wait_for};

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
    let log = Log::open(&postgres::connect(&pool, settings.postgres_url()?).await?, name.clone()).await?;
    let audit = Audit { kafka: client_config(settings)?, topic: name.events_topic(), pool, log };
    let mut report = Report::new(name);
    match audit.compare(patience, &mut report).await {
        Ok(()) => report.ok = true,
        Err(error) => report.first_difference = Some(error.downcast::<Difference>()?.0),
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

impl Audit {
    /// Compares everything, and reports each partition that agrees.
    ///
    /// # Errors
    /// The first [`Difference`]; or a server does not answer.
    async fn compare(&self, patience: Duration, report: &mut Report) -> anyhow::Result<()> {
        let heads = self.log.heads(&self.pool.get().await?).await?;
        let mut checkpoints = wait_for(self, &heads, patience).await?;
        let snapshot = ReportingSnapshot::read(&mut **self.pool.get().await?, self.log.name()).await?;
        // the balances are those of these checkpoints
        checkpoints.insert("reporting".to_owned(), snapshot.checkpoints.clone());
        let mut books = Books::default();
        for (partition, head) in (0..).zip(heads) {
            let stand = stand(partition, head, &checkpoints);
            let reporting = snapshot.checkpoints.get(&partition).copied().unwrap_or(0);
            let look = |event: &_| books.take_in_up_to(reporting, event);
            let compared = compare(self, &stand, look).await?;
            let behind = stand.none_behind();
            report.events += stand.end();
            report.partitions.push(PartitionReport {
                partition,
                events: stand.end(),
                topic_begins_at: compared.topic_begins_at,
                topic_records: compared.topic_records,
                read_models: stand.read_models,
            });
            behind?;
        }
        report.accounts = books.accounts();
        Ok(books.compare(&snapshot)?)
    }
}

fn stand(partition: i32, head: i64, checkpoints: &Checkpoints) -> Stand {
    let at = checkpoints.iter().map(|(name, at)| (name.clone(), at.get(&partition).copied().unwrap_or(0)));
    Stand { partition, head, read_models: at.collect() }
}
