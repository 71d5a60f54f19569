//! Folds a batch of events in memory into one change for each key, so that Postgres writes each row once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use millrace_projector_runner::{ApplyError, Event};

use super::events::{AccountClosed, AccountOpened, EntryPosted};

/// The changes of a batch. Keys ascend, so that two projectors take their row locks in the same order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// The changes of accounts, by account id.
    pub(super) accounts: BTreeMap<String, AccountChange>,
    /// When accounts were closed, by account id.
    pub(super) closed: BTreeMap<String, Timestamp>,
    /// The changes of daily totals, by day (UTC) and currency.
    pub(super) days: BTreeMap<(Date, String), DayChange>,
}

/// The sums to add to an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AccountChange {
    pub(super) currency: String,
    pub(super) change_minor: i128,
    pub(super) entries: i64,
    pub(super) last_posted_at: Option<Timestamp>,
}

/// The sums to add to a day's total.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DayChange {
    pub(super) credits_minor: i128,
    pub(super) debits_minor: i128,
    pub(super) entries: i64,
}

impl Changes {
    /// Folds a batch.
    pub(super) fn from_events(events: &[Event]) -> Result<Self, ApplyError> {
        let mut changes = Self::default();
        for event in events {
            match event.event_type() {
                "AccountOpened" => {
                    let AccountOpened { account_id, currency } = event.get()?;
                    changes.account(account_id, &currency);
                }
                "EntryPosted" => changes.post(event.get()?)?,
                "AccountClosed" => {
                    let AccountClosed { account_id } = event.get()?;
                    changes.closed.insert(account_id, event.recorded_at);
                }
                _ => {}
            }
        }
        Ok(changes)
    }

    fn account(&mut self, account_id: String, currency: &str) -> &mut AccountChange {
        let account = self.accounts.entry(account_id).or_default();
        if account.currency.is_empty() {
            currency.clone_into(&mut account.currency);
        }
        account
    }

    fn post(&mut self, entry: EntryPosted) -> Result<(), ApplyError> {
        let reporting_at = Timestamp::from_microsecond(entry.reporting_at)
            .map_err(|e| ApplyError::Senseless(format!("reporting_at {} is no date: {e}", entry.reporting_at)))?;
        let amount = i128::from(entry.amount_minor);
        let account = self.account(entry.account_id, &entry.currency);
        account.change_minor += amount;
        account.entries += 1;
        account.last_posted_at = account.last_posted_at.max(Some(reporting_at));
        let date = reporting_at.to_zoned(TimeZone::UTC).date();
        let day = self.days.entry((date, entry.currency)).or_default();
        day.credits_minor += amount.max(0);
        day.debits_minor += (-amount).max(0);
        day.entries += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::{Metadata, RecordSchema, Topic};
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    /// An event in the schema that the log has, or a later version of it has.
    fn event(schema: &'static RecordSchema, data: &impl Serialize) -> Event {
        Event {
            partition: 0,
            position: 1,
            stream_id: "account-a".parse().unwrap(),
            version: 1,
            event_id: uuid::Uuid::nil(),
            schema,
            value: schema.encode_framed(data).unwrap(),
            metadata: Metadata::default(),
            recorded_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// The schema of a record with these fields.
    fn record(name: &str, fields: &[(&str, &str)]) -> &'static RecordSchema {
        let field = |(name, kind): &(&str, &str)| format!(r#"{{"name": "{name}", "type": {kind}}}"#);
        let fields: Vec<String> = fields.iter().map(field).collect();
        let text = format!(r#"{{"type": "record", "name": "{name}", "fields": [{}]}}"#, fields.join(","));
        RecordSchema::parse(Topic::Events, 7, &text).unwrap()
    }

    /// With more than the read model needs, as the ledger's own has.
    fn entry_schema() -> &'static RecordSchema {
        static SCHEMA: std::sync::LazyLock<&RecordSchema> = std::sync::LazyLock::new(|| {
            RecordSchema::parse(Topic::Events, 7, include_str!("../../../schemas/ledger/events/EntryPosted.avsc"))
                .unwrap()
        });
        *SCHEMA
    }

    fn entry(account_id: &str, amount_minor: i64, reporting_at: i64) -> Event {
        #[derive(Serialize)]
        struct Whole<'a> {
            entry_set_id: &'a str,
            account_id: &'a str,
            amount_minor: i64,
            reporting_at: i64,
            description: &'a str,
            currency: &'a str,
        }
        let whole =
            Whole { entry_set_id: "s", account_id, amount_minor, reporting_at, description: "", currency: "CZK" };
        event(entry_schema(), &whole)
    }

    #[test]
    fn an_account_without_entries_shows_with_zero() {
        let opened = AccountOpened { account_id: "a".into(), currency: "CZK".into() };
        let schema = record("AccountOpened", &[("account_id", r#""string""#), ("currency", r#""string""#)]);
        let changes = Changes::from_events(&[event(schema, &opened)]).unwrap();
        let expected = AccountChange { currency: "CZK".into(), ..Default::default() };
        assert_eq!(changes.accounts.into_iter().collect::<Vec<_>>(), [("a".to_owned(), expected)]);
        assert!(changes.days.is_empty());
    }

    #[test]
    fn a_closing_touches_no_balance() {
        let schema = record("AccountClosed", &[("account_id", r#""string""#)]);
        let changes = Changes::from_events(&[event(schema, &AccountClosed { account_id: "a".into() })]).unwrap();
        assert!(changes.accounts.is_empty());
        assert_eq!(changes.closed.len(), 1);
    }

    #[test]
    fn an_unknown_event_is_passed_over_and_so_is_a_field_that_came_later() {
        #[derive(Serialize)]
        struct Later {
            account_id: &'static str,
            reason: Option<&'static str>,
        }
        let fields = [("account_id", r#""string""#), ("reason", r#"["null", "string"], "default": null"#)];
        let later = Later { account_id: "a", reason: Some("moved") };
        let frozen = event(record("AccountFrozen", &fields), &later);
        assert_eq!(Changes::from_events(&[frozen]).unwrap(), Changes::default());
        let changes = Changes::from_events(&[event(record("AccountClosed", &fields), &later)]).unwrap();
        assert_eq!(changes.closed.len(), 1);
    }

    #[test]
    fn an_event_that_lacks_a_field_is_not_applied() {
        let schema = record("AccountClosed", &[("currency", r#""string""#)]);
        let closed = event(schema, &std::collections::BTreeMap::from([("currency", "CZK")]));
        assert!(matches!(Changes::from_events(&[closed]), Err(ApplyError::Decode(_))));
    }

    #[test]
    fn a_day_ends_at_midnight_utc_also_before_1970() {
        let changes = Changes::from_events(&[entry("a", 5, -1), entry("a", -7, 0)]).unwrap();
        let days: Vec<_> = changes.days.iter().map(|((day, _), total)| (day.to_string(), total)).collect();
        assert_eq!(days[0], ("1969-12-31".to_owned(), &DayChange { credits_minor: 5, debits_minor: 0, entries: 1 }));
        assert_eq!(days[1], ("1970-01-01".to_owned(), &DayChange { credits_minor: 0, debits_minor: 7, entries: 1 }));
        assert_eq!(changes.accounts["a"].last_posted_at, Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_senseless() {
        assert!(matches!(Changes::from_events(&[entry("a", 1, i64::MAX)]), Err(ApplyError::Senseless(_))));
    }

    proptest! {
        #[test]
        fn a_batch_folds_to_what_its_parts_fold_to(
            entries in prop::collection::vec((0..4u8, any::<i64>(), 0..200_000_000_000i64), 0..60),
            at in 0..60usize,
        ) {
            let events: Vec<_> = entries.iter().map(|(a, amount, t)| entry(&a.to_string(), *amount, *t)).collect();
            let (left, right) = events.split_at(at.min(events.len()));
            let whole = Changes::from_events(&events).unwrap();
            let parts = [Changes::from_events(left).unwrap(), Changes::from_events(right).unwrap()];
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
