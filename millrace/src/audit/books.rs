//! The reporting read model, computed again from the log. Deliberately none of the projector's code: it reads the
//! events' JSON itself and adds up in its own way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use millrace_projectors::reporting::ReportingSnapshot;
use millrace_schemas::RecordedEvent;
use serde::Deserialize;

use super::Difference;

/// The fields of all event types together, as far as reporting looks at them.
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

/// Balances and totals, added up.
#[derive(Default)]
pub struct Books {
    balances: BTreeMap<String, Balance>,
    days: BTreeMap<(Date, String), Day>,
}

impl Books {
    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.balances.len()
    }

    /// Adds an event, unless it stands after position `last` of its partition.
    ///
    /// # Errors
    /// When its JSON is not what its type says.
    pub fn take_in_up_to(&mut self, last: i64, event: &RecordedEvent<String>) -> Result<(), Difference> {
        if event.position <= last { self.take_in(event) } else { Ok(()) }
    }

    fn take_in(&mut self, event: &RecordedEvent<String>) -> Result<(), Difference> {
        let unreadable = |problem: String| {
            let (position, partition) = (event.position, event.partition);
            Difference(format!("the event at position {position} of partition {partition} can't be read: {problem}"))
        };
        let fields: Fields = serde_json::from_str(&event.data).map_err(|e| unreadable(e.to_string()))?;
        let balance = self.balances.entry(fields.account_id).or_default();
        match (event.event_type.as_str(), fields.currency, fields.amount_minor, fields.reporting_at) {
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
            (other, ..) => return Err(unreadable(format!("its type {other} has not the fields it should"))),
        }
        Ok(())
    }

    /// Compares with what the read model shows.
    ///
    /// # Errors
    /// The first account or day that differs.
    pub fn compare(&self, shown: &ReportingSnapshot) -> Result<(), Difference> {
        let balances = shown.balances.iter().map(|(id, account)| {
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
        let days = shown.daily.iter().map(|(key, total)| {
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
                return Err(Difference(format!("{place} {key:?}: the log makes {expected:?}, shown is {found:?}")));
            }
            None => return Err(Difference(format!("{place} {key:?}: the log makes {expected:?}, shown is none"))),
        }
    }
    match shown.keys().find(|key| !log.contains_key(key)) {
        Some(key) => Err(Difference(format!("{place} {key:?} is shown, and the log has none"))),
        None => Ok(()),
    }
}
