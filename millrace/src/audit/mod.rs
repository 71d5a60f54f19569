//! `millrace audit` proves that Postgres, topic and read models hold the same history.
//!
//! In every partition it checks that Postgres holds positions 1..n; that the topic holds the same events byte for byte,
//! in the same order, each once, and nothing else (retention may have deleted the first ones); and that each read model
//! has applied all n events, and none that Postgres lacks: it keeps their count and the hash of their ids. Where that
//! hash differs, the fingerprints of its events name the first that Postgres does not have there. While events come, n is
//! the head when the audit began, and the audit compares the topic to the end that it had when it began to read it. For a
//! ledger, the audit also computes the reporting read model again from the log, with its own arithmetic, at exactly the
//! read model's checkpoints.

mod applied;
mod books;
mod difference;
mod parting;
mod partition;
mod report;
mod tail;
mod topic;
mod waiting;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use deadpool_postgres::Pool;
use millrace_domains::ledger::Ledger;
use millrace_projector_runner::Tally;
use millrace_projectors::reporting::ReportingSnapshot;
use millrace_runtime::kafka::client_config;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, RecordedEvent};
use millrace_store::Log;
use millrace_writer::Domain;
use rdkafka::ClientConfig;

use crate::cli::AuditArguments;
use crate::exit::NO;
use crate::logs::Logs;
use crate::output::Output;
use crate::projector;
use applied::{Applied, Tallies, tallies};
use books::Books;
use difference::{Difference, Stand};
use partition::compare;
use report::PartitionReport;
pub use report::{Report, text};
use waiting::wait_for;

/// Runs the command. The answer is no when something differs.
pub async fn run(
    logs: &Logs,
    settings: &Settings,
    arguments: &AuditArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let report = audit(logs, settings, Duration::from_secs(arguments.wait)).await?;
    output.print(&report, text)?;
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// Audits the log in the settings. First waits until topic and read models have caught up, but at most for `patience`.
///
/// # Errors
/// When a server does not answer. A difference is not an error: it is in the report.
pub async fn audit(logs: &Logs, settings: &Settings, patience: Duration) -> anyhow::Result<Report> {
    let started = Instant::now();
    let name: LogName = settings.log.parse()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 2)?;
    let log = Log::open(&postgres::connect(&pool, settings.postgres_url()?).await?, name.clone()).await?;
    let found = logs.find(settings).await?;
    let mut read_models: Vec<&'static str> = found.projectors().iter().map(|projector| projector.name()).collect();
    read_models.extend(projector::read_models(settings).await?);
    let audit = Audit { kafka: client_config(settings)?, topic: name.events_topic(), read_models, pool, log };
    let mut report = Report::new(name);
    match audit.compare(patience, &mut report).await {
        Ok(()) => report.ok = true,
        Err(error) => report.first_difference = Some(error.downcast::<Difference>()?.0),
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// The read model that the audit computes again.
const REPORTING: &str = "reporting";

struct Audit {
    kafka: ClientConfig,
    topic: String,
    /// The names of the read models, which are also their Postgres schemas.
    read_models: Vec<&'static str>,
    pool: Pool,
    log: Log,
}

impl Audit {
    /// Compares everything, and adds each compared partition to the report.
    ///
    /// # Errors
    /// The first [`Difference`]; or a server does not answer.
    async fn compare(&self, patience: Duration, report: &mut Report) -> anyhow::Result<()> {
        let heads = self.log.positions(&self.pool.get().await?).await?;
        wait_for(self, &heads, patience).await?;
        let mut books = self.books().await?;
        // later than the books: so the comparison goes at least as far as these
        let tallies = tallies(self).await?;
        for (partition, head) in heads {
            let stand = stand(partition, head, &tallies);
            let mut applied = Applied::new(partition, &tallies);
            let look = |event: &RecordedEvent| {
                applied.take_in(event);
                books.as_mut().map_or(Ok(()), |books| books.take_in(event))
            };
            let compared = compare(self, &stand, look).await?;
            let behind = stand.none_behind();
            if let Some(parted) = applied.parted() {
                return Err(parting::find(self, partition, &parted).await?.into());
            }
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
        if let Some(books) = books {
            report.accounts = Some(books.accounts());
            books.compare()?;
        }
        Ok(())
    }

    /// The books of a ledger with the reporting read model; `None` for any other log.
    async fn books(&self) -> anyhow::Result<Option<Books>> {
        if self.log.definition() != Ledger.definition().name || !self.read_models.contains(&REPORTING) {
            return Ok(None);
        }
        let shown = ReportingSnapshot::read(&mut **self.pool.get().await?, self.log.name()).await?;
        Ok(Some(Books::new(shown)))
    }
}

fn stand(partition: i32, head: i64, tallies: &Tallies) -> Stand {
    let position = |of: &HashMap<i32, Tally>| of.get(&partition).map_or(0, |tally| tally.position);
    let at = tallies.iter().map(|(name, of)| ((*name).to_owned(), position(of)));
    Stand { partition, head, read_models: at.collect() }
}
