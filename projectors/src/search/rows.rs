//! The documents of a batch, as the parameters of `add.sql`.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use millrace_schemas::ledger::LedgerEvent;
use tokio_postgres::types::ToSql;

use super::words::ascii_words;
use crate::{ApplyError, Event};

/// One vector a column.
#[derive(Debug, Default)]
pub(super) struct Rows<'a> {
    partitions: Vec<i32>,
    positions: Vec<i64>,
    kinds: Vec<&'static str>,
    ids: Vec<&'a str>,
    account_ids: Vec<&'a str>,
    descriptions: Vec<Option<&'a str>>,
    amounts_minor: Vec<Option<i64>>,
    currencies: Vec<&'a str>,
    reporting_at: Vec<Option<Timestamp>>,
    words: Vec<Option<String>>,
}

impl<'a> Rows<'a> {
    /// The documents that events make. A closed account stays findable: its closing makes none.
    pub(super) fn of(events: &'a [Event]) -> Result<Self, ApplyError> {
        let mut rows = Self::default();
        for event in events {
            match &event.data {
                LedgerEvent::AccountOpened(opened) => {
                    rows.begin(event, "account", &opened.account_id, &opened.account_id);
                    rows.end(None, None, &opened.currency, None);
                }
                LedgerEvent::EntryPosted(entry) => {
                    let reporting_at = Timestamp::from_microsecond(entry.reporting_at).map_err(|e| {
                        ApplyError::Senseless(format!("reporting_at {} is no date: {e}", entry.reporting_at))
                    })?;
                    rows.begin(event, "entry", &entry.entry_set_id, &entry.account_id);
                    let description = Some(entry.description.as_str());
                    rows.end(description, Some(entry.amount_minor), &entry.currency, Some(reporting_at));
                }
                LedgerEvent::AccountClosed(_) => {}
            }
        }
        Ok(rows)
    }

    fn begin(&mut self, event: &Event, kind: &'static str, id: &'a str, account_id: &'a str) {
        self.partitions.push(event.partition);
        self.positions.push(event.position);
        self.kinds.push(kind);
        self.ids.push(id);
        self.account_ids.push(account_id);
    }

    fn end(
        &mut self,
        description: Option<&'a str>,
        amount_minor: Option<i64>,
        currency: &'a str,
        reporting_at: Option<Timestamp>,
    ) {
        let last = self.ids.len() - 1;
        let (kind, id, account_id) = (self.kinds[last], self.ids[last], self.account_ids[last]);
        let parts = [kind, id, account_id, currency].into_iter().chain(description);
        self.words.push(ascii_words(parts));
        self.descriptions.push(description);
        self.amounts_minor.push(amount_minor);
        self.currencies.push(currency);
        self.reporting_at.push(reporting_at);
    }

    /// Adds them to the read model.
    pub(super) async fn insert(&self, transaction: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let statement = transaction.prepare_cached(include_str!("sql/add.sql")).await?;
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &self.partitions,
            &self.positions,
            &self.kinds,
            &self.ids,
            &self.account_ids,
            &self.descriptions,
            &self.amounts_minor,
            &self.currencies,
            &self.reporting_at,
            &self.words,
        ];
        transaction.execute(&statement, &parameters).await?;
        Ok(())
    }
}
