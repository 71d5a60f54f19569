//! Rows as text.

use comfy_table::{CellAlignment, Table};

use super::pace::Row;

/// A table, a line for each row.
pub fn table<'r>(rows: impl IntoIterator<Item = &'r Row>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["stage", "partition", "head", "applied", "behind", "seconds behind", "rate", "eta"]);
    for row in rows {
        table.add_row([
            row.stage.clone(),
            row.partition.map_or_else(|| "all".to_owned(), |partition| partition.to_string()),
            row.head.to_string(),
            row.applied.to_string(),
            row.behind.to_string(),
            seconds_behind(row),
            format!("{:.0}/s", row.rate),
            eta(row),
        ]);
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
