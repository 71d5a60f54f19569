//! Dates and times as people write them.

use apache_avro::types::Value;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// The value, in which dates and times are the texts that the JSON form takes for them. One outside of the calendar stays
/// a number.
pub(crate) fn with_texts_of_times(value: Value) -> Value {
    if let Some(text) = text_of_time(&value) {
        return Value::String(text);
    }
    match value {
        Value::Union(branch, inner) => Value::Union(branch, Box::new(with_texts_of_times(*inner))),
        Value::Array(items) => Value::Array(items.into_iter().map(with_texts_of_times).collect()),
        Value::Map(entries) => {
            Value::Map(entries.into_iter().map(|(key, value)| (key, with_texts_of_times(value))).collect())
        }
        Value::Record(fields) => {
            Value::Record(fields.into_iter().map(|(name, value)| (name, with_texts_of_times(value))).collect())
        }
        other => other,
    }
}

fn text_of_time(value: &Value) -> Option<String> {
    let local = |instant: Timestamp| instant.to_zoned(TimeZone::UTC).datetime().to_string();
    let in_day = |since: SignedDuration| Time::midnight().checked_add(since).ok().map(|time| time.to_string());
    match value {
        Value::Date(days) => {
            let date = Date::constant(1970, 1, 1).checked_add(days.days());
            date.ok().map(|date| date.to_string())
        }
        Value::TimeMillis(millis) => in_day(SignedDuration::from_millis((*millis).into())),
        Value::TimeMicros(micros) => in_day(SignedDuration::from_micros(*micros)),
        Value::TimestampMillis(millis) => Timestamp::from_millisecond(*millis).ok().map(|instant| instant.to_string()),
        Value::TimestampMicros(micros) => Timestamp::from_microsecond(*micros).ok().map(|instant| instant.to_string()),
        Value::TimestampNanos(nanos) => {
            Timestamp::from_nanosecond((*nanos).into()).ok().map(|instant| instant.to_string())
        }
        Value::LocalTimestampMillis(millis) => Timestamp::from_millisecond(*millis).ok().map(local),
        Value::LocalTimestampMicros(micros) => Timestamp::from_microsecond(*micros).ok().map(local),
        Value::LocalTimestampNanos(nanos) => Timestamp::from_nanosecond((*nanos).into()).ok().map(local),
        _ => None,
    }
}
