//! Rows as text.

use comfy_table::{CellAlignment, Table};

use super::pace::Row;

/// A table with a line for each row. It has a column for the partition only if a row belongs to one partition.
pub fn table(rows: &[Row]) -> String {
    let with_partitions = rows.iter().any(|row| row.partition.is_some());
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let partition = with_partitions.then_some("partition");
    let columns = ["head", "applied", "behind", "seconds behind", "rate", "eta"];
    table.set_header(std::iter::once("stage").chain(partition).chain(columns));
    for row in rows {
        let of = row.partition.map_or_else(|| "all".to_owned(), |partition| partition.to_string());
        let numbers = [
            row.head.to_string(),
            row.applied.to_string(),
            row.behind.to_string(),
            seconds_behind(row),
            format!("{:.0}/s", row.rate),
            eta(row),
        ];
        table.add_row(std::iter::once(row.stage.clone()).chain(with_partitions.then_some(of)).chain(numbers));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.to_string()
}

/// The stages as one line.
pub fn line<'r>(rows: impl IntoIterator<Item = &'r Row>) -> String {
    let stages = rows.into_iter().filter(|row| row.partition.is_none()).map(|row| {
        let (stage, behind, rate) = (&row.stage, row.behind, row.rate);
        format!("{stage} {behind} behind ({} s, {rate:.0}/s, eta {})", seconds_behind(row), eta(row))
    });
    stages.collect::<Vec<_>>().join("  ")
}

fn seconds_behind(row: &Row) -> String {
    row.seconds_behind.map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.1}"))
}

fn eta(row: &Row) -> String {
    match row.eta_seconds {
        None => "never".to_owned(),
        Some(_) if row.behind == 0 => "-".to_owned(),
        Some(seconds) if seconds < 90.0 => format!("{seconds:.0} s"),
        Some(seconds) if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) => format!("{:.1} h", seconds / 3600.0),
    }
}
