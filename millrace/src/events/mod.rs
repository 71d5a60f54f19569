//! `millrace events` prints the log in Postgres, decoded.
//!
//! Promises: it prints once every event that passes the filters and was committed before the command began, and none
//! that was committed later. The oldest comes first, and each stream and partition keeps its order. At most a page of
//! each partition is in memory.

mod merge;
mod printed;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use deadpool_postgres::Object;
use jiff::Timestamp;
use millrace_runtime::{Settings, postgres};
use millrace_schemas::{LogName, StreamId, Topic};
use millrace_store::{EventFilter, Log, PageLimit, Span};

use crate::cli::EventsArguments;
use crate::exit::Usage;
use crate::output::Output;
use merge::Merge;
pub use printed::PrintedEvent;

/// Most events to read at once, all partitions together.
const EVENTS: i64 = 4_000;
/// Bytes of data to read at once, all partitions together. An event larger than its partition's share is read
/// nonetheless.
const BYTES: i64 = 16 << 20;

/// Runs the command. Ends after the last event, at the limit, or when the reader of its output has left.
pub async fn run(settings: &Settings, arguments: &EventsArguments, output: Output) -> anyhow::Result<ExitCode> {
    let name: LogName = settings.log.parse()?;
    let stream: Option<StreamId> = arguments.stream.as_ref().map(|id| id.parse()).transpose()?;
    let pool = postgres::pool(settings.postgres_url()?, name.as_str(), 1)?;
    let client = postgres::connect(&pool, settings.postgres_url()?).await?;
    let log = Log::open(&client, name).await?;
    let filter = filter(&client, &log, arguments).await?;
    let spans = spans(&client, &log, arguments, &filter).await?;
    let reading = Reading { client, log, filter, limit: arguments.limit.unwrap_or(u64::MAX), output };
    match stream {
        Some(stream) => reading.print_stream(&stream, &spans).await?,
        None => reading.print_partitions(spans).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn filter(client: &Object, log: &Log, arguments: &EventsArguments) -> anyhow::Result<EventFilter> {
    let schemas = match &arguments.types[..] {
        [] => None,
        types => Some(schema_numbers(client, log, types).await?),
    };
    Ok(EventFilter {
        since: arguments.since.unwrap_or_default().max(Timestamp::UNIX_EPOCH),
        schemas,
        correlation_id: arguments.correlation.clone(),
        user_id: arguments.user.clone(),
    })
}

/// The schema numbers of all versions of these types.
async fn schema_numbers(client: &Object, log: &Log, types: &[String]) -> anyhow::Result<Vec<i16>> {
    let mut stored = log.stored_schemas(client).await?;
    stored.retain(|stored| stored.schema.topic == Topic::Events);
    let mut numbers = Vec::new();
    for name in types {
        let before = numbers.len();
        let versions = stored.iter().filter(|stored| stored.schema.name == *name || stored.schema.full_name() == *name);
        numbers.extend(versions.map(|stored| stored.number));
        if numbers.len() == before {
            // a name comes once for each version
            let known: BTreeSet<&str> = stored.iter().map(|stored| stored.schema.name.as_str()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            bail!(Usage(format!("log {} has no events of type {name:?}; it has {known}", log.name())));
        }
    }
    Ok(numbers)
}

/// The positions to search. They end at the present heads, so that the command ends although events keep coming.
async fn spans(
    client: &Object,
    log: &Log,
    arguments: &EventsArguments,
    filter: &EventFilter,
) -> anyhow::Result<Vec<Span>> {
    let mut heads = log.positions(client).await?;
    if let Some(asked) = arguments.partition {
        heads.retain(|partition, _| u32::try_from(*partition) == Ok(asked));
        if heads.is_empty() {
            let (name, last) = (log.name(), log.partitions() - 1);
            bail!(Usage(format!("log {name} has no partition {asked}: its partitions are 0 to {last}")));
        }
    }
    let mut first = log.positions_before(client, &heads, filter.since).await?;
    if let Some(from) = arguments.from {
        first.values_mut().for_each(|before| *before = (*before).max(from - 1));
    }
    let last = match arguments.until {
        Some(until) => log.positions_before(client, &heads, until.max(Timestamp::UNIX_EPOCH)).await?,
        None => heads,
    };
    let after = |partition| first.get(partition).copied().unwrap_or(0);
    Ok(last
        .iter()
        .map(|(partition, last)| Span { partition: *partition, after: after(partition), last: *last })
        .collect())
}

/// Where to read from, and how to print.
struct Reading {
    client: Object,
    log: Log,
    filter: EventFilter,
    /// Most events to print.
    limit: u64,
    output: Output,
}

impl Reading {
    async fn print_partitions(&self, spans: Vec<Span>) -> anyhow::Result<()> {
        let limit = self.page_limit(spans.len());
        let mut merge = Merge::new(spans);
        let mut left = self.limit;
        while left > 0 {
            let lacking = merge.lacking();
            if !lacking.is_empty() {
                let pages = self.log.find(&self.client, &lacking, &self.filter, limit).await?;
                lacking.iter().zip(pages).for_each(|(span, page)| merge.add(span.partition, page));
                continue;
            }
            let Some(event) = merge.next() else { break };
            if !self.print(event.into())? {
                break;
            }
            left -= 1;
        }
        Ok(())
    }

    async fn print_stream(&self, stream: &StreamId, spans: &[Span]) -> anyhow::Result<()> {
        let limit = self.page_limit(1);
        let partition = self.log.partition_of(stream);
        let last = spans.iter().find(|span| span.partition == partition).map_or(0, |span| span.last);
        let (mut version, mut left) = (0, self.limit);
        while left > 0 {
            let range = (version, last);
            let page = self.log.find_in_stream(&self.client, stream.as_str(), range, &self.filter, limit).await?;
            for event in page.events {
                version = event.version;
                if left == 0 || !self.print(event.into())? {
                    return Ok(());
                }
                left -= 1;
            }
            if page.is_last {
                break;
            }
        }
        Ok(())
    }

    /// False when the reader of the output has left.
    fn print(&self, event: PrintedEvent) -> anyhow::Result<bool> {
        self.output.print_line(&event, PrintedEvent::line)
    }

    /// The page of each partition, when so many share the limits.
    fn page_limit(&self, partitions: usize) -> PageLimit {
        let partitions = i64::try_from(partitions.max(1)).unwrap_or(i64::MAX);
        let wanted = i64::try_from(self.limit).unwrap_or(i64::MAX);
        PageLimit { events: (EVENTS / partitions).max(20).min(wanted), bytes: (BYTES / partitions).max(64 << 10) }
    }
}
