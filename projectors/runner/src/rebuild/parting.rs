//! The event at which a row of a new build parts from the live one's.

use std::collections::BTreeMap;

use deadpool_postgres::Pool;
use millrace_store::Log;
use serde_json::{Map, Value as Json};

use super::replay::{Cause, Replay, RowKey, Side};
use super::{Example, RebuildError};

/// Changes of a row that are kept to find one that the live row lacks.
const HISTORY: usize = 100_000;

/// For each row, the first event from which on the two sides differ: the code of the live build, and that of the new one.
/// `None` where they do not differ.
///
/// # Errors
/// When an event can't be applied, or Postgres does not answer.
pub async fn partings(
    source: (&Log, &Pool),
    sides: &[Side; 2],
    rows: &[RowKey],
    until: &BTreeMap<i32, i64>,
) -> Result<Vec<Option<Cause>>, RebuildError> {
    let mut found = vec![None; rows.len()];
    let parts = |before: &[Option<Json>], after: &[Option<Json>]| differ(before) != differ(after);
    let replay = Replay::new(source, sides, rows, until);
    replay
        .run(parts, |row, cause| {
            // where they have become equal again, they have not parted
            let parted = differ(&cause.after).then_some(cause);
            if let Some(place) = found.get_mut(row) {
                *place = parted;
            }
        })
        .await?;
    Ok(found)
}

/// The same where only the code of the new build is there: the event that explains how the live row differs, because the
/// live row stands as before it, lacks it, or has it twice. `None` where no single event does.
///
/// # Errors
/// When an event can't be applied, or Postgres does not answer.
pub async fn explanations(
    source: (&Log, &Pool),
    side: &Side,
    rows: &[(RowKey, Example)],
    until: &BTreeMap<i32, i64>,
) -> Result<Vec<Option<Cause>>, RebuildError> {
    let keys: Vec<RowKey> = rows.iter().map(|(key, _)| key.clone()).collect();
    let mut histories: Vec<Vec<Cause>> = vec![Vec::new(); rows.len()];
    let replay = Replay::new(source, std::slice::from_ref(side), &keys, until);
    let changes = |before: &[Option<Json>], after: &[Option<Json>]| before != after;
    replay
        .run(changes, |row, cause| {
            if let Some(history) = histories.get_mut(row).filter(|history| history.len() < HISTORY) {
                history.push(cause);
            }
        })
        .await?;
    let rows = rows.iter().zip(histories);
    Ok(rows.map(|((_, example), history)| explanation(example, history)).collect())
}

fn explanation(example: &Example, history: Vec<Cause>) -> Option<Cause> {
    let stands_before = |cause: &Cause| of_one(&cause.before) == example.live.as_ref();
    if let Some(index) = history.iter().rposition(stands_before) {
        return history.into_iter().nth(index);
    }
    let lacks = difference(example.new.as_ref()?, example.live.as_ref()?)?;
    let doubled = difference(example.live.as_ref()?, example.new.as_ref()?)?;
    let fits = |cause: &Cause| {
        let (Some(before), Some(after)) = (of_one(&cause.before), of_one(&cause.after)) else { return false };
        difference(after, before).is_some_and(|effect| effect == lacks || effect == doubled)
    };
    // of several that fit, each may be the one
    let mut fitting = history.into_iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none())
}

fn of_one(states: &[Option<Json>]) -> Option<&Json> {
    states.first().and_then(Option::as_ref)
}

/// One row minus another, in the columns that are numbers and differ; `None` when others differ, too, or none.
fn difference(row: &Json, other: &Json) -> Option<BTreeMap<String, i128>> {
    let (row, other) = (row.as_object()?, other.as_object()?);
    let mut differing = BTreeMap::new();
    for (column, value) in row {
        let before = other.get(column)?;
        if value != before {
            let number = |value: &Json| value.to_string().parse::<i128>().ok();
            differing.insert(column.clone(), number(value)?.checked_sub(number(before)?)?);
        }
    }
    (!differing.is_empty()).then_some(differing)
}

/// Whether the sides differ in the columns that both have.
fn differ(states: &[Option<Json>]) -> bool {
    match states {
        [Some(Json::Object(one)), Some(Json::Object(other))] => {
            let common = |row: &Map<String, Json>, of: &Map<String, Json>| {
                row.iter()
                    .filter(|(column, _)| of.contains_key(*column))
                    .map(|(c, v)| (c.clone(), v.clone()))
                    .collect::<Map<_, _>>()
            };
            common(one, other) != common(other, one)
        }
        [one, other] => one.is_some() != other.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn history(states: &[Json]) -> Vec<Cause> {
        let pairs = states.windows(2).zip(1_i64..);
        let cause = |(pair, position): (&[Json], i64)| Cause {
            partition: 0,
            position,
            event_id: Uuid::nil(),
            event_type: "Posted".into(),
            stream_id: "a-1".into(),
            version: position,
            recorded_at: jiff::Timestamp::UNIX_EPOCH,
            before: vec![pair.first().filter(|row| !row.is_null()).cloned()],
            after: vec![pair.last().filter(|row| !row.is_null()).cloned()],
        };
        pairs.map(cause).collect()
    }

    #[test]
    fn a_live_row_that_lacks_an_event_has_it_twice_or_has_stopped_before_it_is_explained_by_it() {
        let row = |sum: i64, entries: i64| json!({"id": "a", "sum": sum, "entries": entries});
        let states = [Json::Null, row(5, 1), row(12, 2), row(9, 3), row(10, 4)];
        for (live, expected) in [
            (Some(row(12, 2)), Some(3)),
            (None, Some(1)),
            (Some(row(13, 3)), Some(3)),
            (Some(row(17, 5)), Some(2)),
            (Some(row(99, 5)), None),
        ] {
            let example = Example { key: json!({"id": "a"}), live: live.clone(), new: Some(row(10, 4)) };
            let found = explanation(&example, history(&states)).map(|cause| cause.position);
            assert_eq!(found, expected, "{live:?}");
        }
    }

    #[test]
    fn rows_differ_in_the_columns_that_both_have() {
        let differ = |one: Json, other: Json| differ(&[Some(one), Some(other)]);
        assert!(!differ(json!({"id": 1, "new": 7}), json!({"id": 1, "old": 8})));
        assert!(differ(json!({"id": 1, "sum": 7}), json!({"id": 1, "sum": 8})));
        assert!(super::differ(&[None, Some(json!({}))]) && !super::differ(&[None, None]));
    }
}
