//! Computes the reporting read model again from the log. It shares no code with the projector, on purpose: a fault
//! there must not hide itself here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use millrace_projectors::reporting::ReportingSnapshot;
use millrace_schemas::RecordedEvent;
use serde::Deserialize;

use super::Difference;

/// The fields of all event types that reporting uses.
#[derive(Deserialize)]
struct Fields {
    account_id: String,
    currency: Option<String>,
    amount_minor: Option<i64>,
    reporting_at: Option<i64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Balance {
    currency: String,
    minor: i128,
    entries: i64,
    last_posted_at: Option<Timestamp>,
    closed: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Day {
    credits: i128,
    debits: i128,
    entries: i64,
}

/// Balances and totals computed from events, and those in the read model.
pub struct Books {
    /// The read model; its checkpoints say which events to count.
    pub shown: ReportingSnapshot,
    balances: BTreeMap<String, Balance>,
    days: BTreeMap<(Date, String), Day>,
}

impl Books {
    /// Empty books beside the read model.
    pub fn new(shown: ReportingSnapshot) -> Self {
        Self { shown, balances: BTreeMap::new(), days: BTreeMap::new() }
    }

    /// How many accounts the events have opened.
    pub fn accounts(&self) -> usize {
        self.balances.len()
    }

    /// Adds an event, if the read model has applied it.
    ///
    /// # Errors
    /// When the event lacks fields that its type needs.
    pub fn take_in(&mut self, event: &RecordedEvent) -> Result<(), Difference> {
        let applied = self.shown.checkpoints.get(&event.partition).copied().unwrap_or(0);
        if event.position <= applied { self.add(event) } else { Ok(()) }
    }

    fn add(&mut self, event: &RecordedEvent) -> Result<(), Difference> {
        if !matches!(event.event_type(), "AccountOpened" | "AccountClosed" | "EntryPosted") {
            return Ok(()); // a later version of the log may have more types, and the projector skips them too
        }
        let unreadable = |problem: String| {
            let (position, partition) = (event.position, event.partition);
            Difference(format!("the event at position {position} of partition {partition} can't be read: {problem}"))
        };
        let fields: Fields = event.get().map_err(|e| unreadable(e.to_string()))?;
        let balance = self.balances.entry(fields.account_id).or_default();
        match (event.event_type(), fields.currency, fields.amount_minor, fields.reporting_at) {
            ("AccountOpened", Some(currency), ..) => balance.currency = currency,
            ("AccountClosed", ..) => balance.closed = true,
            ("EntryPosted", Some(currency), Some(amount), Some(at)) => {
                let at = Timestamp::from_microsecond(at).map_err(|e| unreadable(e.to_string()))?;
                balance.minor += i128::from(amount);
                balance.entries += 1;
                balance.last_posted_at = balance.last_posted_at.max(Some(at));
                let day = self.days.entry((Offset::UTC.to_datetime(at).date(), currency)).or_default();
                day.entries += 1;
                let side = if amount > 0 { &mut day.credits } else { &mut day.debits };
                *side += i128::from(amount).abs();
            }
            (other, ..) => return Err(unreadable(format!("it is {other} without the fields that the audit needs"))),
        }
        Ok(())
    }

    /// Compares the books with the read model.
    ///
    /// # Errors
    /// The first account or day that differs.
    pub fn compare(&self) -> Result<(), Difference> {
        let balances = self.shown.balances.iter().map(|(id, account)| {
            let balance = Balance {
                currency: account.currency.clone(),
                minor: account.balance_minor.into(),
                entries: account.entries,
                last_posted_at: account.last_posted_at,
                closed: account.closed_at.is_some(),
            };
            (id.clone(), balance)
        });
        first_difference("reporting.account_balances, account", &self.balances, &balances.collect())?;
        let days = self.shown.daily.iter().map(|(key, total)| {
            (key.clone(), Day { credits: total.credits_minor, debits: total.debits_minor, entries: total.entries })
        });
        first_difference("reporting.daily_totals, day", &self.days, &days.collect())
    }
}

fn first_difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    place: &str,
    log: &BTreeMap<K, V>,
    shown: &BTreeMap<K, V>,
) -> Result<(), Difference> {
    for (key, expected) in log {
        match shown.get(key) {
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(Difference(format!(
                    "{place} {key:?}: the log makes {expected:?}, the read model has {found:?}"
                )));
            }
            None => {
                let problem = format!("the log makes {expected:?}, the read model has no such row");
                return Err(Difference(format!("{place} {key:?}: {problem}")));
            }
        }
    }
    match shown.keys().find(|key| !log.contains_key(key)) {
        Some(key) => {
            Err(Difference(format!("{place} {key:?}: the read model has it, and nothing in the log makes it")))
        }
        None => Ok(()),
    }
}
