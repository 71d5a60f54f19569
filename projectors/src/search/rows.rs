//! Makes the documents of a batch: the parameters of `add.sql`.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use millrace_projector_runner::{ApplyError, Event};
use tokio_postgres::types::ToSql;

use super::events::{AccountOpened, EntryPosted};
use super::words::ascii_words;

/// One vector for each column, as the arrays that `add.sql` unnests.
#[derive(Debug, Default)]
pub(super) struct Rows {
    partitions: Vec<i32>,
    positions: Vec<i64>,
    kinds: Vec<&'static str>,
    ids: Vec<String>,
    account_ids: Vec<String>,
    descriptions: Vec<Option<String>>,
    amounts_minor: Vec<Option<i64>>,
    currencies: Vec<String>,
    reporting_at: Vec<Option<Timestamp>>,
    words: Vec<Option<String>>,
}

/// One document. An account's has only the first three fields.
struct Document {
    id: String,
    account_id: String,
    currency: String,
    description: Option<String>,
    amount_minor: Option<i64>,
    reporting_at: Option<Timestamp>,
}

impl Rows {
    /// The documents of a batch of events. The closing of an account changes none, so a closed account can still be
    /// found.
    pub(super) fn from_events(events: &[Event]) -> Result<Self, ApplyError> {
        let mut rows = Self::default();
        for event in events {
            match event.event_type() {
                "AccountOpened" => rows.add(event, "account", Document::of_account(event.get()?)),
                "EntryPosted" => rows.add(event, "entry", Document::of_entry(event.get()?)?),
                _ => {}
            }
        }
        Ok(rows)
    }

    fn add(&mut self, event: &Event, kind: &'static str, document: Document) {
        let Document { id, account_id, currency, description, amount_minor, reporting_at } = document;
        let parts = [kind, &id, &account_id, &currency].into_iter().chain(description.as_deref());
        self.words.push(ascii_words(parts));
        self.partitions.push(event.partition);
        self.positions.push(event.position);
        self.kinds.push(kind);
        self.ids.push(id);
        self.account_ids.push(account_id);
        self.descriptions.push(description);
        self.amounts_minor.push(amount_minor);
        self.currencies.push(currency);
        self.reporting_at.push(reporting_at);
    }

    /// Adds the documents to the read model.
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

impl Document {
    fn of_account(opened: AccountOpened) -> Self {
        let AccountOpened { account_id, currency } = opened;
        Self { id: account_id.clone(), account_id, currency, description: None, amount_minor: None, reporting_at: None }
    }

    fn of_entry(entry: EntryPosted) -> Result<Self, ApplyError> {
        let reporting_at = Timestamp::from_microsecond(entry.reporting_at)
            .map_err(|e| ApplyError::Senseless(format!("reporting_at {} is no date: {e}", entry.reporting_at)))?;
        Ok(Self {
            id: entry.entry_set_id,
            account_id: entry.account_id,
            currency: entry.currency,
            description: Some(entry.description),
            amount_minor: Some(entry.amount_minor),
            reporting_at: Some(reporting_at),
        })
    }
}
