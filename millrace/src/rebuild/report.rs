//! What became of a rebuild, for people and programs.

use std::time::Duration;

use millrace_projector_runner::rebuild::{Build, Cause, Comparison, Example, RowKey, Switched, TableDifference};
use serde::Serialize;
use serde_json::Value as Json;

use crate::output::escaped;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ending {
    /// Readers see the new generation.
    Switched,
    /// The rows differ: readers see the generation that they saw before.
    Differences,
    /// Readers see the generation that was live before.
    RolledBack,
    /// The new generation was dropped.
    Abandoned,
    /// Nothing was changed.
    DryRun,
}

/// The event at which a row parts.
#[derive(Debug, Serialize)]
pub(super) struct Parting {
    table: String,
    key: Json,
    event: Cause,
}

impl Parting {
    pub(super) fn new(row: RowKey, event: Cause) -> Self {
        Self { table: row.table, key: row.key, event }
    }
}

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    projector: String,
    pub(super) result: Ending,
    /// The generation that the command has dealt with.
    generation: i32,
    /// The generation that was live when it began.
    live_before: Option<i32>,
    /// The schema of the generation that was live before; `None` unless another one has taken its place.
    replaced_schema: Option<String>,
    /// Events that this call has applied, or that a rebuild would.
    events: u64,
    seconds: f64,
    /// How long the comparison took.
    pub(super) compare_seconds: Option<f64>,
    /// How long the projector could apply nothing because of the switch.
    held_ms: Option<f64>,
    /// `None` when nothing was compared.
    pub(super) comparison: Option<Comparison>,
    /// Where rows that differ part, for the rows that the comparison shows.
    pub(super) partings: Vec<Parting>,
    /// Views and functions of others that were bound anew.
    readers: Vec<String>,
    /// Bytes that the live generation takes on disk; only of a dry run.
    bytes: Option<i64>,
}

impl Report {
    pub(super) fn new(projector: &str, build: &Build, live: Option<&Build>) -> Self {
        Self {
            projector: projector.to_owned(),
            result: Ending::Switched,
            generation: build.generation.number,
            live_before: live.map(|live| live.generation.number),
            replaced_schema: None,
            events: 0,
            seconds: 0.0,
            compare_seconds: None,
            held_ms: None,
            comparison: None,
            partings: Vec::new(),
            readers: Vec::new(),
            bytes: None,
        }
    }

    /// The rows that the comparison shows and that can be found by a key.
    pub(super) fn rows_with_keys(&self) -> Vec<(RowKey, Example)> {
        let differences = self.comparison.iter().flat_map(|comparison| &comparison.differences);
        let with_key = differences.filter(|difference| !difference.key.is_empty());
        let rows = with_key.flat_map(|TableDifference { table, key: columns, examples, .. }| {
            examples.iter().map(move |example| {
                let (table, columns, key) = (table.clone(), columns.clone(), example.key.clone());
                (RowKey { table, columns, key }, example.clone())
            })
        });
        rows.collect()
    }

    pub(super) fn filled(&mut self, events: u64, took: Duration) {
        self.events = events;
        self.seconds = took.as_secs_f64();
    }

    pub(super) fn switched(&mut self, switched: Switched) {
        self.result = Ending::Switched;
        self.replaced_schema = switched.replaced.map(|(_, schema)| schema);
        self.held_ms = Some(switched.held.as_secs_f64() * 1000.0);
        self.readers = switched.readers;
    }

    pub(super) fn estimated(&mut self, events: u64, bytes: i64, seconds: f64) {
        self.result = Ending::DryRun;
        (self.events, self.bytes, self.seconds) = (events, Some(bytes), seconds);
    }
}

/// For people.
pub(super) fn text(report: &Report) -> String {
    let Report { projector, generation, live_before, events, seconds, .. } = report;
    let before = live_before.map_or_else(|| "none".to_owned(), |before| format!("generation {before}"));
    match report.result {
        Ending::DryRun => {
            let megabytes = report.bytes.unwrap_or_default() as f64 / 1e6;
            format!(
                "a rebuild of {projector} would apply {events} events, take about {seconds:.0} s, and need about {megabytes:.0} \
                 MB of disk beside the live one, {before}; nothing was changed"
            )
        }
        Ending::Abandoned => {
            format!("{projector}: generation {generation} was dropped; readers see {before}, as before")
        }
        Ending::RolledBack => format!(
            "readers of {projector} see generation {generation} again; {before} stands in {} until the next rebuild",
            report.replaced_schema.as_deref().unwrap_or("no schema")
        ),
        Ending::Switched => switched(report, &before),
        Ending::Differences => {
            let mut comparison = report.comparison.as_ref().map(differences).unwrap_or_default();
            for Parting { table, key, event } in &report.partings {
                comparison += &format!("\n  {} {} parts at {}", escaped(table), shown(key), cause(event));
            }
            format!(
                "{projector}: generation {generation} differs from {before}, which readers go on seeing\n{comparison}\nif \
                 that is what you want: `millrace rebuild {projector} --accept-differences`; if not: `millrace rebuild \
                 {projector} --abandon`"
            )
        }
    }
}

fn switched(report: &Report, before: &str) -> String {
    let Report { projector, generation, events, seconds, .. } = report;
    let rate = *events as f64 / seconds.max(0.001);
    let held = report.held_ms.unwrap_or_default();
    let mut text = format!(
        "readers of {projector} see generation {generation}: {events} events in {seconds:.1} s ({rate:.0} a second); the \
         switch held the projector for {held:.0} ms and readers for none"
    );
    if let Some(comparison) = &report.comparison {
        let (rows, tables) = (comparison.rows, comparison.tables.join(", "));
        let took = report.compare_seconds.unwrap_or_default();
        text += &match comparison.is_equal() {
            true => format!("\n  compared in {took:.1} s: {rows} rows of {tables} are the same as those of {before}"),
            false => format!("\n{}", differences(comparison)),
        };
        text += &comparison.notes.iter().map(|note| format!("\n  {note}")).collect::<String>();
    }
    for reader in &report.readers {
        text += &format!("\n  {} reads the new generation", escaped(reader));
    }
    if let Some(schema) = &report.replaced_schema {
        text += &format!(
            "\n  {before} stands in {schema} until the next rebuild; `millrace rebuild {projector} --rollback` returns to it"
        );
    }
    text
}

fn differences(comparison: &Comparison) -> String {
    comparison.differences.iter().map(difference).collect::<Vec<_>>().join("\n")
}

fn difference(difference: &TableDifference) -> String {
    let TableDifference { table, rows, examples, .. } = difference;
    let first = format!("  {}: {rows} rows differ", escaped(table));
    examples.iter().fold(first, |text, example| format!("{text}\n    {}", row(example)))
}

fn row(Example { key, live, new }: &Example) -> String {
    let key = shown(key);
    match (live, new) {
        (Some(Json::Object(live)), Some(Json::Object(new))) => {
            let changed = live.iter().filter(|(column, value)| new.get(*column) != Some(value));
            let changed = changed.map(|(column, value)| {
                format!(
                    "{column} is {} live, {} in the new one",
                    shown(value),
                    new.get(column).map(shown).unwrap_or_default()
                )
            });
            format!("{key}: {}", changed.collect::<Vec<_>>().join("; "))
        }
        (Some(_), _) => format!("{key}: only in the live one"),
        (None, _) => format!("{key}: only in the new one"),
    }
}

/// An event, for people.
pub(super) fn cause(cause: &Cause) -> String {
    let Cause { partition, position, event_id, event_type, stream_id, version, recorded_at, .. } = cause;
    format!(
        "{event_type}, version {version} of {stream_id}, recorded at {recorded_at} (partition {partition}, position {position}, \
         id {event_id})"
    )
}

fn shown(value: &Json) -> String {
    escaped(&value.to_string())
}
