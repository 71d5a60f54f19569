//! One partition: Postgres against the topic.

use millrace_schemas::RecordedEvent;
use millrace_store::Cursor;

use super::topic::{TopicRecord, TopicRecords};
use super::{Audit, Difference};

/// Events asked for at a time.
const PAGE: i64 = 5000;

/// Compares positions 1 to `end` of a partition, and shows each event of Postgres to `look`. How many records of the
/// topic were compared; fewer than `end` only where retention has deleted the first.
pub(super) async fn compare(
    audit: &Audit,
    partition: i32,
    end: i64,
    mut look: impl FnMut(&RecordedEvent<String>) -> Result<(), Difference>,
) -> anyhow::Result<Result<i64, Difference>> {
    let client = audit.pool.get().await?;
    let mut topic = TopicRecords::read(&audit.kafka, &audit.topic, partition).await?;
    let mut expected = topic.next().await?;
    let first = first_position(partition, topic.first_offset, expected.as_ref(), end);
    let first = match first {
        Ok(first) => first,
        Err(difference) => return Ok(Err(difference)),
    };
    let mut cursor = Cursor::start(partition);
    while cursor.position < end {
        let page = audit.log.read(&client, &[cursor], PAGE.min(end - cursor.position)).await?;
        if page.is_empty() {
            return Ok(Err(Difference(format!(
                "Postgres has no event at position {} of partition {partition}, and it should have {end} events",
                cursor.position + 1
            ))));
        }
        for event in &page {
            let checked = in_sequence(&cursor, event)
                .and_then(|()| look(event))
                .and_then(|()| if event.position < first { Ok(()) } else { same(partition, event, expected.as_ref()) });
            if let Err(difference) = checked {
                return Ok(Err(difference));
            }
            if event.position >= first {
                expected = topic.next().await?;
            }
            cursor.position = event.position;
            cursor.recorded_at = event.recorded_at;
        }
    }
    Ok(Ok((end - first + 1).max(0)))
}

/// The position that the topic begins with: 1, unless retention has deleted the first records.
fn first_position(
    partition: i32,
    first_offset: i64,
    record: Option<&TopicRecord>,
    end: i64,
) -> Result<i64, Difference> {
    match record {
        Some(TopicRecord { position: Some(position), .. }) if first_offset > 0 => Ok(*position),
        Some(_) => Ok(1),
        None if first_offset > 0 || end == 0 => Ok(end + 1),
        None => Err(Difference(format!(
            "the topic has no record in partition {partition}, Postgres has {end} events; is a relay running?"
        ))),
    }
}

fn in_sequence(cursor: &Cursor, event: &RecordedEvent<String>) -> Result<(), Difference> {
    let RecordedEvent { partition, position, recorded_at, .. } = event;
    if *position != cursor.position + 1 {
        let before = cursor.position;
        return Err(Difference(format!("Postgres goes from position {before} to {position} in partition {partition}")));
    }
    if *recorded_at < cursor.recorded_at {
        return Err(Difference(format!(
            "recorded_at goes backwards at position {position} of partition {partition} in Postgres"
        )));
    }
    Ok(())
}

fn same(partition: i32, event: &RecordedEvent<String>, record: Option<&TopicRecord>) -> Result<(), Difference> {
    let position = event.position;
    let Some(record) = record else {
        return Err(Difference(format!(
            "the topic ends before position {position} of partition {partition}, which Postgres has; is a relay running?"
        )));
    };
    let offset = record.offset;
    if record.position != Some(position) {
        let found = record.position.map_or_else(|| "none".to_owned(), |position| position.to_string());
        return Err(Difference(format!(
            "the topic has position {found} at offset {offset} of partition {partition}, where position {position} belongs"
        )));
    }
    if record.event_id != Some(event.event_id) {
        let found = record.event_id.map_or_else(|| "no event id".to_owned(), |id| format!("event {id}"));
        return Err(Difference(format!(
            "at position {position} of partition {partition}, Postgres has event {} and the topic {found} (offset {offset})",
            event.event_id
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(position: i64) -> TopicRecord {
        TopicRecord { offset: 9, position: Some(position), event_id: None }
    }

    #[test]
    fn the_topic_may_begin_late_only_where_retention_deleted() {
        assert_eq!(first_position(0, 0, Some(&record(1)), 5), Ok(1));
        assert_eq!(first_position(0, 0, Some(&record(3)), 5), Ok(1)); // and is found to differ at position 1
        assert_eq!(first_position(0, 7, Some(&record(3)), 5), Ok(3));
        assert_eq!(first_position(0, 0, None, 0), Ok(1));
        assert_eq!(first_position(0, 7, None, 5), Ok(6));
        assert!(first_position(0, 0, None, 5).is_err());
    }
}
