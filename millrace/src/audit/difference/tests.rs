use millrace_store::Cursor;

use super::*;

const ID: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn stand(head: i64, reporting: i64, search: i64) -> Stand {
    let read_models = [("reporting", reporting), ("search", search)];
    let read_models = read_models.map(|(name, checkpoint)| (name.to_owned(), checkpoint)).into();
    Stand { partition: 3, head, read_models }
}

/// What Postgres has: the frame of schema 5, and a datum.
const VALUE: &[u8] = b"\0\0\0\0\x05datum";
const EVENT: LogEvent<'_> =
    LogEvent { event_id: ID, stream_id: "account-1", version: 2, recorded_at: Timestamp::UNIX_EPOCH, value: VALUE };

/// A record that says the rest as `EVENT` does.
fn record(position: Option<i64>, event_id: Option<Uuid>) -> TopicRecord {
    let (key, value) = (Some(b"account-1".to_vec()), Some(VALUE.to_vec()));
    TopicRecord {
        offset: 9,
        position,
        event_id,
        version: Some(2),
        recorded_at: Some(Timestamp::UNIX_EPOCH),
        key,
        value,
    }
}

/// Empty when nothing differs.
fn told<T>(found: Result<T, Difference>) -> String {
    found.err().map(|difference| difference.to_string()).unwrap_or_default()
}

#[test]
fn postgres_and_topic_must_reach_what_anybody_has_applied() {
    for (stand, expected) in [(stand(0, 0, 0), 0), (stand(5, 5, 4), 5), (stand(5, 5, 7), 7), (stand(5, 8, 7), 8)] {
        assert_eq!(stand.end(), expected, "{stand:?}");
    }
}

#[test]
fn a_read_model_that_is_ahead_or_behind_is_named() {
    for (stand, last, expected) in [
        (stand(5, 5, 7), 5, "search is at position 7 of partition 3, and Postgres ends at position 5"),
        (stand(5, 8, 7), 6, "reporting is at position 8 of partition 3, and Postgres ends at position 6"),
        (stand(5, 5, 5), 4, "Postgres has no event at position 5 of partition 3, and its head says that it has 5"),
    ] {
        assert!(stand.missing_after(last).0.starts_with(expected), "{stand:?}, {last}: {}", stand.missing_after(last));
    }
    for (stand, expected) in [
        (stand(5, 5, 6), ""),
        (stand(5, 5, 3), "search is at position 3 of partition 3, 2 behind Postgres; is its projector running?"),
    ] {
        assert_eq!(told(stand.none_behind()), expected, "{stand:?}");
    }
}

#[test]
fn the_topic_may_begin_late_only_where_retention_deleted() {
    let (empty, five) = (stand(0, 0, 0), stand(5, 5, 5));
    let at = |position| Some(record(position, None));
    for (stand, first_offset, record, expected) in [
        (&five, 0, at(Some(1)), Some(1)),
        (&five, 0, at(Some(3)), Some(1)), // and is found to differ at position 1
        (&five, 7, at(Some(3)), Some(3)),
        (&five, 7, at(Some(8)), Some(8)), // written since, and all before is deleted
        (&five, 7, at(None), Some(1)),
        (&five, 7, None, Some(6)),
        (&empty, 0, None, Some(1)),
        (&five, 0, None, None),
    ] {
        let first = stand.first_compared(first_offset, record.as_ref());
        assert_eq!(first.ok(), expected, "{stand:?}, {first_offset}, {record:?}");
    }
}

#[test]
fn positions_in_postgres_have_no_hole_and_times_do_not_go_back() {
    let at = |seconds| Timestamp::from_second(seconds).expect("a time");
    for (last, next, expected) in [
        ((0, at(0)), (1, at(5)), ""),
        ((4, at(5)), (5, at(5)), ""),
        ((4, at(5)), (6, at(5)), "Postgres goes from position 4 to 6 in partition 3"),
        ((4, at(5)), (5, at(4)), "recorded_at goes backwards at position 5 of partition 3 in Postgres"),
    ] {
        assert_eq!(told(in_sequence(3, last, next)), expected);
    }
}

#[test]
fn a_record_must_be_the_next_position_and_the_event_that_postgres_has_there() {
    let text = |found: &str, expected: &str| format!("the topic has {found} of partition 3{expected}: {MEANING}");
    let ends = ", and Postgres ends at position 5, so that 6 would be next";
    let no_position = "no readable position at offset 9";
    for (in_log, found, expected) in [
        (Some(EVENT), (Some(6), Some(ID)), String::new()),
        // repeated, too far, no position: also where a live log has a newer event by now
        (Some(EVENT), (Some(5), Some(ID)), text("position 5 at offset 9", ", where position 6 belongs")),
        (Some(EVENT), (Some(7), Some(ID)), text("position 7 at offset 9", ", where position 6 belongs")),
        (Some(EVENT), (None, Some(ID)), text(no_position, ", where position 6 belongs")),
        // behind the end
        (None, (Some(6), Some(ID)), text("position 6 at offset 9", ends)),
        (None, (Some(1), Some(ID)), text("position 1 at offset 9", ends)),
        (None, (None, None), text(no_position, ends)),
        // another event
        (
            Some(EVENT),
            (Some(6), Some(OTHER)),
            text("position 6 at offset 9", &format!(" with event {OTHER}, and Postgres has event {ID} there")),
        ),
        (
            Some(EVENT),
            (Some(6), None),
            text("position 6 at offset 9", &format!(" with no readable event id, and Postgres has event {ID} there")),
        ),
    ] {
        let record = record(found.0, found.1);
        assert_eq!(told(same(3, 6, in_log, Some(&record))), expected, "{in_log:?} against {record:?}");
    }
    assert!(told(same(3, 6, Some(EVENT), None)).starts_with("the topic ends before position 6 of partition 3"));
}

#[test]
fn a_record_with_the_right_id_is_told_what_it_says_otherwise() {
    let right = record(Some(6), Some(ID));
    assert_eq!(told(same(3, 6, Some(EVENT), Some(&right))), "");
    let with_value = |value: &[u8]| TopicRecord { value: Some(value.to_vec()), ..right.clone() };
    for (record, expected) in [
        (TopicRecord { key: None, ..right.clone() }, "without a key, and its stream is account-1"),
        (
            TopicRecord { key: Some(b"account-2".to_vec()), ..right.clone() },
            "with the key \"account-2\", and its stream is account-1",
        ),
        (TopicRecord { version: Some(3), ..right.clone() }, "with version 3 of account-1, and Postgres says version 2"),
        (
            TopicRecord { version: None, ..right.clone() },
            "with no readable version of account-1, and Postgres says version 2",
        ),
        (
            TopicRecord { recorded_at: Some(Timestamp::constant(0, 1_000)), ..right.clone() },
            "with the time 1970-01-01T00:00:00.000001Z, and Postgres says 1970-01-01T00:00:00Z: it came again after \
             Postgres was set back",
        ),
        (
            TopicRecord { recorded_at: None, ..right.clone() },
            "with no readable time, and Postgres says 1970-01-01T00:00:00Z: it came again after Postgres was set back",
        ),
        (TopicRecord { value: None, ..right.clone() }, "its value of 0 bytes has no frame"),
        (with_value(b"{}"), "its value of 2 bytes has no frame"),
        (with_value(b"\0\0\0\0\x06datum"), "its value has the schema id 6, and Postgres says 5"),
        (
            with_value(b"\0\0\0\0\x05datem"),
            "its datum of 5 bytes is not the one of 5 bytes in Postgres: they differ from byte 3 on",
        ),
        (
            with_value(b"\0\0\0\0\x05dat"),
            "its datum of 3 bytes is not the one of 5 bytes in Postgres: they differ from byte 3 on",
        ),
    ] {
        let place = "the topic has position 6 at offset 9 of partition 3 with the event that Postgres has there, but ";
        assert_eq!(told(same(3, 6, Some(EVENT), Some(&record))), format!("{place}{expected}"));
    }
}

#[test]
fn an_event_that_is_another_one_when_it_is_read_again_is_told() {
    let recorded_at = Timestamp::UNIX_EPOCH;
    let cursor = Cursor { event_id: Some(ID), recorded_at: Some(recorded_at), position: 7, ..Cursor::start(3) };
    let other = Identity { event_id: OTHER, recorded_at };
    let text = format!("event {OTHER}, recorded at 1970-01-01T00:00:00Z");
    for (found, expected) in [(None, "no event".to_owned()), (Some(other), text)] {
        let told = set_back(&Fork { cursor, found }).0;
        assert!(
            told.starts_with(&format!("Postgres had event {ID}, recorded at 1970-01-01T00:00:00Z, at position 7 of")),
            "{told}"
        );
        assert!(told.ends_with(&format!("has {expected} there now: Postgres was set back")), "{told}");
    }
}
