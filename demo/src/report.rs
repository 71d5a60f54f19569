//! What the demo says at its end.

use std::fmt::Write;

use millrace::{AuditReport, audit_text};
use serde::Serialize;

use crate::comparison::Comparison;
use crate::load::Loaded;

/// The demo's result.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Everything agrees.
    pub ok: bool,
    /// Commands produced.
    pub commands: u64,
    /// Of those, accepted.
    pub accepted: i64,
    /// Of those, rejected or in conflict.
    pub rejected: i64,
    /// Events committed.
    pub events: u64,
    /// From the first command produced until every read model had every event.
    pub seconds: f64,
    /// Events by those seconds.
    pub events_per_second: f64,
    /// From the first command produced until `reporting` had every event.
    pub reporting_seconds: f64,
    /// Commands by those seconds.
    pub commands_per_second: f64,
    /// The read models beside the bank's file.
    pub comparison: Comparison,
    /// The audit.
    pub audit: AuditReport,
}

impl Report {
    /// Puts it together.
    pub fn new(loaded: Loaded, comparison: Comparison, audit: AuditReport) -> Self {
        Self {
            ok: comparison.agrees() && audit.ok && loaded.refused == 0,
            commands: loaded.commands,
            accepted: loaded.accepted,
            rejected: loaded.refused,
            events: loaded.events,
            seconds: loaded.seconds,
            events_per_second: loaded.events as f64 / loaded.seconds,
            reporting_seconds: loaded.reporting_seconds,
            commands_per_second: loaded.commands as f64 / loaded.reporting_seconds,
            comparison,
            audit,
        }
    }
}

/// The report for a person.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    // writing to a String can't fail
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        text,
        "{} commands, {} accepted, {} refused; {} events",
        report.commands, report.accepted, report.rejected, report.events
    )?;
    writeln!(
        text,
        "  in the reporting read model after {:.1} s ({:.0} commands/s), in search after {:.1} s ({:.0} events/s)\n",
        report.reporting_seconds, report.commands_per_second, report.seconds, report.events_per_second
    )?;
    write_balances(text, &report.comparison)?;
    write_days(text, &report.comparison)?;
    write_hit(text, &report.comparison)?;
    writeln!(text, "{}\n", audit_text(&report.audit))?;
    writeln!(text, "{}", if report.ok { "Everything agrees." } else { "NOT everything agrees." })
}

fn write_balances(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(text, "account   transactions   reporting (CZK)   the bank's own balance")?;
    for shown in &comparison.shown {
        let balance = shown.balance_minor.map_or_else(|| "none".to_owned(), |minor| crowns(minor.into()));
        let bank = crowns(shown.bank_minor.into());
        writeln!(text, "{:<9} {:>12} {balance:>17} {bank:>24}", shown.account_id, shown.transactions)?;
    }
    let (bank, accounts) = (&comparison.bank, comparison.accounts);
    match &comparison.wrong_balance {
        None => writeln!(text, "  all {accounts} balances are the sums of the file's rows, to the heller")?,
        Some(id) => writeln!(text, "  NOT the sum of the file's rows: account {id}")?,
    }
    writeln!(
        text,
        "  the bank published rounded amounts: of {} customers' sums {} equal its own balance,\n  \
         {} are within a crown, {} are further off, all on the last day, whose interest the file cuts off\n",
        bank.accounts, bank.exact, bank.rounding, bank.beyond
    )
}

fn write_days(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(text, "day            credits (CZK)      debits (CZK)   entries")?;
    for day in &comparison.last_days {
        let (credits, debits) = (crowns(day.credits_minor), crowns(day.debits_minor));
        writeln!(text, "{:<10} {credits:>17} {debits:>17} {:>9}", day.day, day.entries)?;
    }
    match &comparison.wrong_day {
        None => writeln!(text, "  the totals of all {} days are those of the file's rows\n", comparison.days),
        Some(day) => writeln!(text, "  NOT those of the file's rows: {day}\n"),
    }
}

fn write_hit(text: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let query = comparison.query;
    match &comparison.hit {
        None => writeln!(text, "search {query:?}: NOTHING found\n"),
        Some(hit) => {
            let what = hit.description.as_deref().unwrap_or_default();
            let amount = hit.amount_minor.map(|minor| crowns(minor.into())).unwrap_or_default();
            writeln!(text, "search {query:?}:\n  account {}: {what}, {amount} {}\n", hit.account_id, hit.currency)
        }
    }
}

/// Minor units as crowns with two decimals.
fn crowns(minor: i128) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, rest) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    format!("{sign}{whole}.{rest:02}")
}

#[cfg(test)]
mod tests {
    use super::crowns;

    #[test]
    fn minor_units_are_shown_with_two_decimals() {
        assert_eq!(crowns(0), "0.00");
        assert_eq!(crowns(-5), "-0.05");
        assert_eq!(crowns(1_739_120), "17391.20");
    }
}
