//! A read model: how often each reader has borrowed a book.

use std::collections::BTreeMap;

use millrace::{ApplyError, BoxFuture, Projector, RecordedEvent, Transaction, refinery};
use serde::Deserialize;

/// Keeps the table `readers.loans`.
pub struct Readers;

/// Of the event, the field that counts.
#[derive(Deserialize)]
struct BookLent {
    reader: String,
}

impl Projector for Readers {
    fn name(&self) -> &'static str {
        "readers"
    }

    fn migrations(&self) -> refinery::Runner {
        let table = "CREATE TABLE loans (reader text PRIMARY KEY, loans bigint NOT NULL)";
        let first = refinery::Migration::unapplied("V1__loans", table).expect("a number and a name");
        refinery::Runner::new(&[first])
    }

    fn apply<'a>(
        &'a self,
        transaction: &'a Transaction<'a>,
        events: &'a [RecordedEvent],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            let mut loans: BTreeMap<String, i64> = BTreeMap::new();
            for event in events.iter().filter(|event| event.event_type() == "BookLent") {
                *loans.entry(event.get::<BookLent>()?.reader).or_default() += 1;
            }
            let (readers, counts): (Vec<String>, Vec<i64>) = loans.into_iter().unzip();
            let add = "INSERT INTO loans AS l SELECT * FROM unnest($1::text[], $2::bigint[])
                       ON CONFLICT (reader) DO UPDATE SET loans = l.loans + excluded.loans";
            let add = transaction.prepare_cached(add).await?;
            transaction.execute(&add, &[&readers, &counts]).await?;
            Ok(())
        })
    }
}
