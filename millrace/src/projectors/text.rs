//! Projectors as text.

use comfy_table::Table;

use super::status::{LastError, Rebuild, State, Status};
use crate::output::escaped;

/// A line for each projector.
pub(super) fn list(all: &Vec<Status>) -> String {
    if all.is_empty() {
        return "this log has no projectors in this database; `millrace migrate` makes their read models".to_owned();
    }
    let mut table = table(["projector", "state", "instances", "behind", "errors", "last error"]);
    for status in all {
        let Status { projector, state, instances, behind, errors, .. } = status;
        let numbers = [instances.to_string(), behind.to_string(), errors.to_string()];
        let error = status.last_error.as_ref().map_or_else(String::new, error);
        table.add_row([projector.clone(), word(*state).to_owned()].into_iter().chain(numbers).chain([error]));
    }
    let lines = all.iter().filter_map(pause).chain(all.iter().filter_map(rebuild));
    lines.fold(table.to_string(), |text, line| format!("{text}\n{line}"))
}

/// A line for each partition.
pub(super) fn show(status: &Status) -> String {
    let mut table = table(["partition", "state", "instance", "applied", "behind", "errors", "last error"]);
    for partition in &status.partitions {
        let instance = partition.instance.clone().unwrap_or_default();
        let error = partition.last_error.as_ref().map_or_else(String::new, error);
        let numbers = [partition.applied, partition.behind, partition.errors].map(|number| number.to_string());
        let first = [partition.partition.to_string(), word(partition.state).to_owned(), instance];
        table.add_row(first.into_iter().chain(numbers).chain([error]));
    }
    pause(status).into_iter().chain(rebuild(status)).fold(table.to_string(), |text, line| format!("{text}\n{line}"))
}

fn table(header: impl IntoIterator<Item = &'static str>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    table
}

fn pause(status: &Status) -> Option<String> {
    status.paused.as_ref().map(|paused| format!("{} is {}", status.projector, paused.line()))
}

fn rebuild(status: &Status) -> Option<String> {
    let Rebuild { generation, applied, events } = status.rebuild.as_ref()?;
    let projector = &status.projector;
    Some(format!(
        "generation {generation} of {projector} is not live yet: `millrace rebuild {projector}` has applied {applied} of \
         {events} events"
    ))
}

fn error(LastError { at, partition, position, reason }: &LastError) -> String {
    format!("{at:.0} before position {position} of partition {partition}: {}", escaped(reason))
}

fn word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Down => "down",
        State::Stopped => "stopped",
        State::Paused => "paused",
    }
}
