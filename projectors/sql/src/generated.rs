//! Generated events, by their schemas: the same for the same seed. Values come from small pools, so that events meet on
//! the same rows. The text field `<stream type>_id` is the key of the event's stream, as it is in most logs: two streams
//! never share it.

use std::collections::HashMap;

use apache_avro::Schema;
use jiff::{SignedDuration, Timestamp};
use millrace_projector_runner::Event;
use millrace_schemas::{Metadata, RecordSchema, StreamId};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Events come in so many partitions.
const PARTITIONS: i32 = 3;
/// Streams of each partition.
const STREAMS: usize = 2;
/// 2026-11-25T20:00:00Z, in seconds: not long before the end of a day.
const BEGIN: i64 = 1_795_636_800;
/// Between two events: many of them cross the end of a day.
const STEP: SignedDuration = SignedDuration::from_mins(17);

/// A source of numbers that look like chance (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}

/// So many events of these types, by partition, each partition in its order; their streams are of these types.
///
/// # Errors
/// When an event type can't be generated.
pub(crate) fn events(
    chance: &mut Chance,
    readers: &[&'static RecordSchema],
    stream_types: &[String],
    count: usize,
) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for partition in 0..PARTITIONS {
        let mut versions: HashMap<StreamId, i64> = HashMap::new();
        for position in 1..=(count as i64 / i64::from(PARTITIONS)).max(1) {
            let reader = readers[chance.below(readers.len())];
            let mut data = record(chance, reader.avro());
            let key = (partition as usize * STREAMS + chance.below(STREAMS) + 1).to_string();
            let stream_type = in_stream(&mut data, stream_types, &key);
            let datum =
                reader.encode_json(&data).map_err(|error| format!("no {} can be generated: {error}", reader.name))?;
            let stream_id = StreamId::new(stream_type, &key).map_err(|error| error.to_string())?;
            let version = versions.entry(stream_id.clone()).or_default();
            *version += 1;
            let second = Timestamp::from_second(BEGIN).map_err(|error| error.to_string())?;
            let recorded_at = second + STEP * i32::try_from(position).unwrap_or(i32::MAX);
            events.push(Event {
                partition,
                position,
                stream_id,
                version: *version,
                event_id: Uuid::from_u128((partition as u128 + 1) << 64 | position as u128),
                schema: reader,
                value: Event::framed(reader, &datum),
                metadata: metadata(chance),
                recorded_at,
            });
        }
    }
    Ok(events)
}

/// Makes the event one of a stream with this key. Returns the type of the stream: one whose key the event names, if any.
fn in_stream<'t>(data: &mut Json, stream_types: &'t [String], key: &str) -> &'t str {
    for stream_type in stream_types {
        if let Some(Json::String(named)) = data.get_mut(format!("{stream_type}_id")) {
            key.clone_into(named);
            return stream_type;
        }
    }
    stream_types.first().map_or("stream", String::as_str)
}

fn metadata(chance: &mut Chance) -> Metadata {
    let user_id = [None, Some("ada"), Some("bob")][chance.below(3)].map(ToOwned::to_owned);
    Metadata {
        user_id,
        correlation_id: Some(format!("c{}", chance.below(4))),
        causation_id: Some("x".to_owned()),
        ..Metadata::default()
    }
}

fn record(chance: &mut Chance, schema: &Schema) -> Json {
    let Schema::Record(record) = schema else { return Json::Null };
    let fields = record.fields.iter().map(|field| (field.name.clone(), value(chance, &field.schema)));
    Json::Object(fields.collect())
}

fn value(chance: &mut Chance, schema: &Schema) -> Json {
    match schema {
        Schema::Boolean => json!(chance.below(2) == 1),
        Schema::Int | Schema::Long => json!([0, 1, 2, 3, 10, 250, -1, -40][chance.below(8)]),
        // sums of these are exact in any order
        Schema::Float | Schema::Double => json!([0.0, 0.5, 1.25, -2.0][chance.below(4)]),
        Schema::String => json!(["a", "b", "c", "A longer text"][chance.below(4)]),
        Schema::Enum(symbols) => json!(symbols.symbols[chance.below(symbols.symbols.len())]),
        Schema::Bytes => json!(["", "\u{1}", "ab"][chance.below(3)]),
        Schema::Fixed(fixed) => json!("x".repeat(fixed.size)),
        Schema::Decimal(decimal) => json!(digits(chance.below(3) as u32, decimal.scale)),
        Schema::Uuid(_) => json!(format!("00000000-0000-4000-8000-00000000000{}", chance.below(3))),
        Schema::Date => json!(20_782 + chance.below(3) as i32),
        Schema::TimeMillis => json!(chance.below(3) * 3_600_000),
        Schema::TimeMicros => json!(chance.below(3) as i64 * 3_600_000_000),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => json!(instant(chance) * 1_000),
        Schema::TimestampMicros | Schema::LocalTimestampMicros => json!(instant(chance) * 1_000_000),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => json!(instant(chance) * 1_000_000_000),
        Schema::Array(array) => (0..chance.below(4)).map(|_| value(chance, &array.items)).collect(),
        Schema::Map(map) => {
            let entries = ["k", "l"].into_iter().take(chance.below(3));
            Json::Object(entries.map(|key| (key.to_owned(), value(chance, &map.types))).collect())
        }
        Schema::Union(union) => {
            let variants = union.variants();
            let variant = &variants[chance.below(variants.len())];
            value(chance, variant)
        }
        other => record(chance, other),
    }
}

/// Seconds: one of a few hours around the end of a day.
fn instant(chance: &mut Chance) -> i64 {
    BEGIN + 3_600 * chance.below(8) as i64
}

/// A decimal with `scale` digits after the point.
fn digits(number: u32, scale: usize) -> String {
    if scale == 0 { number.to_string() } else { format!("0.{number:0>scale$}") }
}

#[cfg(test)]
mod tests {
    use millrace_schemas::Topic;

    use super::*;

    #[test]
    fn the_same_seed_generates_the_same_events_with_dense_positions() {
        let text = r#"{"type": "record", "name": "Happened", "fields": [
            {"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"]},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
                {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}}}]}"#;
        let reader = RecordSchema::parse(Topic::Events, 0, text).unwrap();
        let generate = || events(&mut Chance::new(7), &[reader], &["thing".to_owned()], 30).unwrap();
        let shown = |events: Vec<Event>| events.into_iter().map(|event| event.value).collect::<Vec<_>>();
        assert_eq!(shown(generate()), shown(generate()));
        let positions: Vec<(i32, i64)> = generate().iter().map(|event| (event.partition, event.position)).collect();
        let expected: Vec<(i32, i64)> = (0..3).flat_map(|p| (1..=10).map(move |position| (p, position))).collect();
        assert_eq!(positions, expected);
    }
}
