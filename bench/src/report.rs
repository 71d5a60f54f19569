//! What the benchmark says at its end.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::arguments::Skew;
use crate::gate::Breach;
use crate::measured::{Flow, Measured, ProcessUse, Rate};
use crate::storage::Storage;

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// This version of Millrace.
    pub version: &'static str,
    /// Not a release build: its figures say little.
    pub debug_build: bool,
    /// The seed of the work.
    pub seed: u64,
    /// Which accounts it touched.
    pub skew: Skew,
    /// Each scenario's figures.
    pub scenarios: Vec<Measured>,
    /// Ratios that are too low, if there was a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaches: Option<Vec<Breach>>,
}

/// The report for a person.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    // writing to a String can't fail
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "seed {}, accounts {}", report.seed, format!("{:?}", report.skew).to_lowercase())?;
    if report.debug_build {
        writeln!(text, "a debug build: its figures say little; build with --release")?;
    }
    for measured in &report.scenarios {
        writeln!(text, "\n{}: {}\n{}", measured.name, measured.work, rates(measured))?;
        if let Some(flow) = &measured.flow {
            write_flow(text, flow)?;
        }
        if !measured.latencies.is_empty() {
            writeln!(text, "{}", latencies(measured))?;
        }
        if let Some(storage) = &measured.storage {
            write_storage(text, storage)?;
        }
        if !measured.processes.is_empty() {
            writeln!(text, "{}", processes(&measured.processes))?;
        }
    }
    match report.breaches.as_deref() {
        None => Ok(()),
        Some([]) => writeln!(text, "\nno ratio is below its gate"),
        Some(breaches) => breaches.iter().try_for_each(|breach| writeln!(text, "\nBELOW THE GATE: {breach}")),
    }
}

fn rates(measured: &Measured) -> String {
    let mut table = table(["", "events/s", "lowest", "highest", "ours by this"]);
    let row = |rate: &Rate, ratio: String| {
        let lowest = rate.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rate.rounds.iter().copied().fold(0.0, f64::max);
        [rate.what.clone(), whole(rate.events_per_second), whole(lowest), whole(highest), ratio]
    };
    table.add_row(row(&measured.ours, String::new()));
    for ceiling in &measured.ceilings {
        table.add_row(row(&ceiling.rate, format!("{:.2}", ceiling.ratio)));
    }
    numbers_to_the_right(table)
}

fn latencies(measured: &Measured) -> String {
    let mut table = table(["", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "samples"]);
    for latency in &measured.latencies {
        let times = [latency.p50_ms, latency.p99_ms, latency.p999_ms, latency.max_ms].map(|ms| format!("{ms:.1}"));
        let [p50, p99, p999, max] = times;
        table.add_row([latency.what.clone(), p50, p99, p999, max, latency.samples.to_string()]);
    }
    numbers_to_the_right(table)
}

fn processes(processes: &[ProcessUse]) -> String {
    let mut table = table(["", "CPU s per million events", "cores", "peak MB"]);
    for process in processes {
        let cpu = format!("{:.1}", process.cpu_seconds_per_million());
        let peak = process.peak_mb().map(whole).unwrap_or_default();
        table.add_row([process.name.clone(), cpu, format!("{:.2}", process.cores()), peak]);
    }
    numbers_to_the_right(table)
}

fn write_flow(text: &mut String, flow: &Flow) -> std::fmt::Result {
    let [third, two_thirds, end] = flow.lag_events;
    let asked = flow.asked_sets_per_second.map(|rate| format!(" of {rate} asked for")).unwrap_or_default();
    writeln!(text, "{:.0} entry sets/s accepted{asked}, {} refused", flow.sets_accepted_per_second, flow.refused)?;
    let grew = if flow.lag_grew { "IT GREW" } else { "it did not grow" };
    writeln!(
        text,
        "lag in events after a third, two thirds, at the end: {third}, {two_thirds}, {end}: {grew}; drained {:.1} s later",
        flow.drained_after_seconds
    )
}

fn write_storage(text: &mut String, storage: &Storage) -> std::fmt::Result {
    let Storage { events, bytes_per_event, bytes_per_command } = storage;
    writeln!(
        text,
        "on disk, indexes included: {bytes_per_event:.0} bytes an event, {bytes_per_command:.0} a command ({events} events)"
    )
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    table
}

fn numbers_to_the_right(mut table: Table) -> String {
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.to_string()
}

fn whole(number: f64) -> String {
    format!("{number:.0}")
}
