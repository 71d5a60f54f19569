//! The rules for posting an entry set.

use std::collections::HashMap;

use millrace_schemas::StreamId;
use millrace_writer::Rejection;

use super::account::{Account, OpenedAccount};
use super::command::PostEntrySet;
use super::event::{EntryPosted, LedgerEvent};
use super::text::{account_stream, check_description, check_entry_set_id};

/// Most entries of a set.
const MAX_ENTRIES: usize = 1000;
/// Years 1 to 9998, in microseconds since 1970. Every calendar can show these times, in any time zone.
const REPORTING_AT: std::ops::Range<i64> = -62_135_596_800_000_000..253_370_764_800_000_000;

/// The streams of the set's accounts, in order of first appearance. Checks the rules that need no state.
pub fn streams(set: &PostEntrySet) -> Result<Vec<StreamId>, Rejection> {
    check_entry_set_id(&set.entry_set_id)?;
    check_description(&set.description)?;
    if !REPORTING_AT.contains(&set.reporting_at) {
        return Err(Rejection::new("invalid_reporting_at", "reporting_at is not within the years 1 to 9998."));
    }
    match set.entries.len() {
        0 | 1 => return Err(Rejection::new("too_few_entries", "An entry set has two entries or more.")),
        n if n > MAX_ENTRIES => {
            return Err(Rejection::new("too_many_entries", format!("An entry set has at most {MAX_ENTRIES} entries.")));
        }
        _ => {}
    }
    let sum: i128 = set.entries.iter().map(|entry| i128::from(entry.amount_minor)).sum();
    if sum != 0 {
        return Err(Rejection::new("entries_not_balanced", format!("The entries sum to {sum}, not to zero.")));
    }
    changes(set).into_iter().map(|(account_id, _)| account_stream(account_id)).collect()
}

/// The set's accounts, each once with the sum of its entries, in order of first appearance.
fn changes(set: &PostEntrySet) -> Vec<(&str, i128)> {
    let mut changes: Vec<(&str, i128)> = Vec::with_capacity(set.entries.len());
    let mut places = HashMap::with_capacity(set.entries.len());
    for entry in &set.entries {
        let place = *places.entry(entry.account_id.as_str()).or_insert_with(|| {
            changes.push((&entry.account_id, 0));
            changes.len() - 1
        });
        changes[place].1 += i128::from(entry.amount_minor);
    }
    changes
}

/// Decides a set: one event for each account, with the sum of its entries.
pub fn post(set: &PostEntrySet, states: &[&Account]) -> Result<Vec<(usize, LedgerEvent)>, Rejection> {
    let changes = changes(set);
    let mut currency: Option<&str> = None;
    let mut events = Vec::with_capacity(changes.len());
    for (stream, ((account_id, sum), state)) in changes.into_iter().zip(states).enumerate() {
        let account = state.opened(account_id)?;
        let currency = *currency.get_or_insert(&account.currency);
        if currency != &*account.currency {
            let message = format!(
                "Account {account_id} is in {}, another of the set in {currency}; a set has one currency.",
                account.currency
            );
            return Err(Rejection::new("mixed_currencies", message));
        }
        let amount_minor = allowed(sum, account_id, account)?;
        events.push((
            stream,
            LedgerEvent::EntryPosted(EntryPosted {
                entry_set_id: set.entry_set_id.clone(),
                account_id: account_id.to_owned(),
                amount_minor,
                reporting_at: set.reporting_at,
                description: set.description.clone(),
                currency: currency.to_owned(),
            }),
        ));
    }
    Ok(events)
}

/// The sum of a set's entries on an account, if it fits and keeps the account within its limit.
fn allowed(amount: i128, account_id: &str, account: &OpenedAccount) -> Result<i64, Rejection> {
    let fits = i64::try_from(amount).ok().and_then(|amount| Some((amount, account.balance.checked_add(amount)?)));
    let (amount, balance) = fits.ok_or_else(|| {
        let message = format!("The balance of account {account_id} would not fit into 64 bits.");
        Rejection::new("balance_overflow", message)
    })?;
    match account.overdraft_limit {
        Some(limit) if amount < 0 && balance < -limit => Err(Rejection::new(
            "overdraft_limit_exceeded",
            format!("Account {account_id} would be at {balance}, below its limit of {}.", -limit),
        )),
        _ => Ok(amount),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::REPORTING_AT;

    #[test]
    fn every_reporting_time_that_is_accepted_is_one_that_projectors_can_read() {
        let micros = |year| date(year, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond();
        assert_eq!((REPORTING_AT.start, REPORTING_AT.end), (micros(1), micros(9999)));
        assert!(Timestamp::from_microsecond(REPORTING_AT.start).is_ok());
        assert!(Timestamp::from_microsecond(REPORTING_AT.end - 1).is_ok());
    }
}
