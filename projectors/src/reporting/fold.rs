//! What a batch of events changes, folded per key in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use millrace_schemas::ledger::{EntryPosted, LedgerEvent};

use crate::{ApplyError, Event};

/// The changes of a batch; keys ascend.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// By account.
    pub(super) accounts: BTreeMap<String, AccountChange>,
    /// By account, when it was closed.
    pub(super) closed: BTreeMap<String, Timestamp>,
    /// By day and currency.
    pub(super) days: BTreeMap<(Date, String), DayChange>,
}

/// What is added to an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AccountChange {
    pub(super) currency: String,
    pub(super) change_minor: i128,
    pub(super) entries: i64,
    pub(super) last_posted_at: Option<Timestamp>,
}

/// What is added to a day.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DayChange {
    pub(super) credits_minor: i128,
    pub(super) debits_minor: i128,
    pub(super) entries: i64,
}

impl Changes {
    /// Folds a batch.
    pub(super) fn of(events: &[Event]) -> Result<Self, ApplyError> {
        let mut changes = Self::default();
        for event in events {
            match &event.data {
                LedgerEvent::AccountOpened(opened) => {
                    changes.account(&opened.account_id, &opened.currency);
                }
                LedgerEvent::EntryPosted(entry) => changes.post(entry)?,
                LedgerEvent::AccountClosed(closed) => {
                    changes.closed.insert(closed.account_id.clone(), event.recorded_at);
                }
            }
        }
        Ok(changes)
    }

    fn account(&mut self, account_id: &str, currency: &str) -> &mut AccountChange {
        let account = self.accounts.entry(account_id.to_owned()).or_default();
        if account.currency.is_empty() {
            currency.clone_into(&mut account.currency);
        }
        account
    }

    fn post(&mut self, entry: &EntryPosted) -> Result<(), ApplyError> {
        let reporting_at = Timestamp::from_microsecond(entry.reporting_at)
            .map_err(|e| ApplyError::Senseless(format!("reporting_at {} is no date: {e}", entry.reporting_at)))?;
        let amount = i128::from(entry.amount_minor);
        let account = self.account(&entry.account_id, &entry.currency);
        account.change_minor += amount;
        account.entries += 1;
        account.last_posted_at = account.last_posted_at.max(Some(reporting_at));
        let date = reporting_at.to_zoned(TimeZone::UTC).date();
        let day = self.days.entry((date, entry.currency.clone())).or_default();
        day.credits_minor += amount.max(0);
        day.debits_minor += (-amount).max(0);
        day.entries += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::Metadata;
    use millrace_schemas::ledger::{AccountClosed, AccountOpened};
    use proptest::prelude::*;

    use super::*;

    fn event(data: LedgerEvent) -> Event {
        Event {
            partition: 0,
            position: 1,
            stream_id: "account-a".parse().unwrap(),
            version: 1,
            event_id: uuid::Uuid::nil(),
            event_type: data.name().to_owned(),
            data,
            metadata: Metadata::default(),
            recorded_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn entry(account_id: &str, amount_minor: i64, reporting_at: i64) -> Event {
        event(LedgerEvent::EntryPosted(EntryPosted {
            entry_set_id: "s".to_owned(),
            account_id: account_id.to_owned(),
            amount_minor,
            reporting_at,
            description: String::new(),
            currency: "CZK".to_owned(),
        }))
    }

    #[test]
    fn an_account_without_entries_shows_with_zero() {
        let opened = AccountOpened { account_id: "a".into(), currency: "CZK".into(), overdraft_limit_minor: None };
        let changes = Changes::of(&[event(LedgerEvent::AccountOpened(opened))]).unwrap();
        let expected = AccountChange { currency: "CZK".into(), ..Default::default() };
        assert_eq!(changes.accounts.into_iter().collect::<Vec<_>>(), [("a".to_owned(), expected)]);
        assert!(changes.days.is_empty());
    }

    #[test]
    fn a_closing_touches_no_balance() {
        let closed = LedgerEvent::AccountClosed(AccountClosed { account_id: "a".into() });
        let changes = Changes::of(&[event(closed)]).unwrap();
        assert!(changes.accounts.is_empty());
        assert_eq!(changes.closed.len(), 1);
    }

    #[test]
    fn a_day_ends_at_midnight_utc_also_before_1970() {
        let changes = Changes::of(&[entry("a", 5, -1), entry("a", -7, 0)]).unwrap();
        let days: Vec<_> = changes.days.iter().map(|((day, _), total)| (day.to_string(), total)).collect();
        assert_eq!(days[0], ("1969-12-31".to_owned(), &DayChange { credits_minor: 5, debits_minor: 0, entries: 1 }));
        assert_eq!(days[1], ("1970-01-01".to_owned(), &DayChange { credits_minor: 0, debits_minor: 7, entries: 1 }));
        assert_eq!(changes.accounts["a"].last_posted_at, Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_senseless() {
        assert!(matches!(Changes::of(&[entry("a", 1, i64::MAX)]), Err(ApplyError::Senseless(_))));
    }

    proptest! {
        #[test]
        fn a_batch_folds_to_what_its_parts_fold_to(
            entries in prop::collection::vec((0..4u8, any::<i64>(), 0..200_000_000_000i64), 0..60),
            at in 0..60usize,
        ) {
            let events: Vec<_> = entries.iter().map(|(a, amount, t)| entry(&a.to_string(), *amount, *t)).collect();
            let (left, right) = events.split_at(at.min(events.len()));
            let whole = Changes::of(&events).unwrap();
            let parts = [Changes::of(left).unwrap(), Changes::of(right).unwrap()];
            for (account, change) in &whole.accounts {
                let of_parts = || parts.iter().filter_map(|part| part.accounts.get(account));
                prop_assert_eq!(change.change_minor, of_parts().map(|c| c.change_minor).sum::<i128>());
                prop_assert_eq!(change.entries, of_parts().map(|c| c.entries).sum::<i64>());
                prop_assert_eq!(change.last_posted_at, of_parts().map(|c| c.last_posted_at).max().flatten());
            }
            let sum: i128 = entries.iter().map(|(_, amount, _)| i128::from(*amount)).sum();
            let of_days: i128 = whole.days.values().map(|day| day.credits_minor - day.debits_minor).sum();
            prop_assert_eq!(of_days, sum);
        }
    }
}
