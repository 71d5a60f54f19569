//! Generated events, by their schemas: the same for the same seed. Values come from small pools, so that events meet on
//! the same rows. A field that names a stream, such as `member_id` where the log has streams of type `member`, has the
//! keys of streams as its pool; the one that names the event's own stream has that stream's key.

use std::collections::HashMap;

use apache_avro::Schema;
use jiff::{SignedDuration, Timestamp};
use millrace_projector_runner::Event;
use millrace_schemas::{Metadata, RecordSchema, StreamId};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::stream_types::StreamTypes;

/// Events come in so many partitions.
const PARTITIONS: i32 = 3;
/// Texts of fields that are no keys.
const TEXTS: [&str; 4] = ["a", "b", "A longer text", "c"];
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

/// What the values of a set of events are taken from. Few values show what depends on the events before, and many streams
/// what happens once in each.
pub(crate) struct Pools<'s> {
    pub(crate) streams: &'s StreamTypes,
    /// Streams of each partition and type.
    of_partition: usize,
    /// How many of the texts are used.
    texts: usize,
}

impl<'s> Pools<'s> {
    /// The pools of the set with this number: in four sets, each mixture of few and many.
    pub(crate) fn new(streams: &'s StreamTypes, set: u64) -> Self {
        let of_partition = if set.is_multiple_of(2) { 2 } else { 8 };
        let texts = if (set / 2).is_multiple_of(2) { TEXTS.len() } else { 2 };
        Self { streams, of_partition, texts }
    }
}

/// So many events of these types, by partition, each partition in its order.
///
/// # Errors
/// When an event type can't be generated.
pub(crate) fn events(
    chance: &mut Chance,
    readers: &[&'static RecordSchema],
    pools: &Pools<'_>,
    count: usize,
) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for partition in 0..PARTITIONS {
        let mut versions: HashMap<StreamId, i64> = HashMap::new();
        let mut reader = one_of(chance, readers).ok_or("the log has no events")?;
        for position in 1..=(count as i64 / i64::from(PARTITIONS)).max(1) {
            // a statement applies events of one type that follow each other, so these are to be frequent
            if chance.below(3) > 0 {
                reader = one_of(chance, readers).unwrap_or(reader);
            }
            let mut data = record(chance, reader.avro(), pools);
            let number = partition as usize * pools.of_partition + chance.below(pools.of_partition) + 1;
            let stream_id = of_stream(chance, &mut data, reader, pools, number)?;
            let datum =
                reader.encode_json(&data).map_err(|error| format!("no {} can be generated: {error}", reader.name))?;
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

fn one_of<T: Copy>(chance: &mut Chance, of: &[T]) -> Option<T> {
    of.get(chance.below(of.len())).copied()
}

/// Makes the event one of the stream with this number: of a type that the log's rules name, or else of one that the event
/// names, or else of any.
fn of_stream(
    chance: &mut Chance,
    data: &mut Json,
    reader: &RecordSchema,
    pools: &Pools<'_>,
    number: usize,
) -> Result<StreamId, String> {
    let is_named = |stream_type: &&String| data.get(format!("{stream_type}_id")).is_some();
    let possible: Vec<&String> = match pools.streams.of_events.get(&reader.name) {
        Some(types) => types.iter().collect(),
        None => pools.streams.all.iter().filter(is_named).collect(),
    };
    let possible = if possible.is_empty() { pools.streams.all.iter().collect() } else { possible };
    let stream_type = one_of(chance, &possible).map_or("stream", String::as_str);
    let mut key = number.to_string();
    let field = format!("{stream_type}_id");
    let named = field_of(reader.avro(), &field).and_then(|schema| key_of(schema, number));
    if let (Some(named), Some(value)) = (named, data.get_mut(&field).filter(|value| !value.is_null())) {
        key = named.as_str().map_or(key, ToOwned::to_owned);
        *value = named;
    }
    StreamId::new(stream_type, &key).map_err(|error| error.to_string())
}

fn field_of<'s>(schema: &'s Schema, name: &str) -> Option<&'s Schema> {
    let Schema::Record(record) = schema else { return None };
    record.fields.iter().find(|field| field.name == name).map(|field| &field.schema)
}

/// The key of the stream with this number, as a field of the type has it. `None` when such a field can't have a key.
fn key_of(schema: &Schema, number: usize) -> Option<Json> {
    match schema {
        Schema::String => Some(json!(number.to_string())),
        Schema::Int | Schema::Long => Some(json!(number)),
        Schema::Uuid(_) => Some(json!(uuid(number))),
        Schema::Union(union) => union.variants().iter().find_map(|variant| key_of(variant, number)),
        _ => None,
    }
}

fn uuid(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
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

fn record(chance: &mut Chance, schema: &Schema, pools: &Pools<'_>) -> Json {
    let Schema::Record(record) = schema else { return Json::Null };
    let fields = record.fields.iter().map(|field| {
        let value = value(chance, &field.schema, pools);
        let number = chance.below(PARTITIONS as usize * pools.of_partition) + 1;
        let key = key_of(&field.schema, number).filter(|_| pools.streams.are_named_by(&field.name) && !value.is_null());
        (field.name.clone(), key.unwrap_or(value))
    });
    Json::Object(fields.collect())
}

fn value(chance: &mut Chance, schema: &Schema, pools: &Pools<'_>) -> Json {
    match schema {
        Schema::Boolean => json!(chance.below(2) == 1),
        Schema::Int | Schema::Long => json!([0, 1, 2, 3, 10, 250, -1, -40][chance.below(8)]),
        // sums of these are exact in any order
        Schema::Float | Schema::Double => json!([0.0, 0.5, 1.25, -2.0][chance.below(4)]),
        Schema::String => json!(TEXTS.get(chance.below(pools.texts))),
        Schema::Enum(symbols) => json!(symbols.symbols[chance.below(symbols.symbols.len())]),
        Schema::Bytes => json!(["", "\u{1}", "ab"][chance.below(3)]),
        Schema::Fixed(fixed) => json!("x".repeat(fixed.size)),
        Schema::Decimal(decimal) => json!(digits(chance.below(3) as u32, decimal.scale)),
        Schema::Uuid(_) => json!(uuid(chance.below(3))),
        Schema::Date => json!(20_782 + chance.below(3) as i32),
        Schema::TimeMillis => json!(chance.below(3) * 3_600_000),
        Schema::TimeMicros => json!(chance.below(3) as i64 * 3_600_000_000),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => json!(instant(chance) * 1_000),
        Schema::TimestampMicros | Schema::LocalTimestampMicros => json!(instant(chance) * 1_000_000),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => json!(instant(chance) * 1_000_000_000),
        Schema::Array(array) => (0..chance.below(4)).map(|_| value(chance, &array.items, pools)).collect(),
        Schema::Map(map) => {
            let entries = ["k", "l"].into_iter().take(chance.below(3));
            Json::Object(entries.map(|key| (key.to_owned(), value(chance, &map.types, pools))).collect())
        }
        Schema::Union(union) => {
            let variants = union.variants();
            let variant = &variants[chance.below(variants.len())];
            value(chance, variant, pools)
        }
        other => record(chance, other, pools),
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
    use std::collections::BTreeMap;

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
        let streams = StreamTypes { all: vec!["thing".to_owned()], ..StreamTypes::default() };
        let generate = || events(&mut Chance::new(7), &[reader], &Pools::new(&streams, 2), 30).unwrap();
        let shown = |events: Vec<Event>| events.into_iter().map(|event| event.value).collect::<Vec<_>>();
        assert_eq!(shown(generate()), shown(generate()));
        let positions: Vec<(i32, i64)> = generate().iter().map(|event| (event.partition, event.position)).collect();
        let expected: Vec<(i32, i64)> = (0..3).flat_map(|p| (1..=10).map(move |position| (p, position))).collect();
        assert_eq!(positions, expected);
    }

    const LOAN: &str = r#"{"type": "record", "name": "LoanTaken", "fields": [
        {"name": "book_id", "type": "string"}, {"name": "member_id", "type": "string"},
        {"name": "lent_by_member_id", "type": ["null", "string"]}]}"#;

    fn loans(of_events: &[(&str, &str)]) -> Vec<(StreamId, Json)> {
        let reader = RecordSchema::parse(Topic::Events, 0, LOAN).unwrap();
        let of_event = |(event, of): &(&str, &str)| ((*event).to_owned(), vec![(*of).to_owned()]);
        let streams = StreamTypes {
            all: vec!["book".to_owned(), "member".to_owned()],
            of_events: of_events.iter().map(of_event).collect(),
        };
        let events = events(&mut Chance::new(7), &[reader], &Pools::new(&streams, 2), 60).unwrap();
        events.into_iter().map(|event| (event.stream_id.clone(), reader.json(event.datum()).unwrap())).collect()
    }

    #[test]
    fn an_event_belongs_to_the_stream_that_the_rules_name_and_names_others_by_their_keys() {
        let keys = ["1", "2", "3", "4", "5", "6"];
        for (stream, loan) in loans(&[("LoanTaken", "member")]) {
            assert_eq!(stream.to_string(), format!("member-{}", loan["member_id"].as_str().unwrap()));
            assert!(keys.contains(&loan["book_id"].as_str().unwrap()), "{loan}");
            assert!(loan["lent_by_member_id"].as_str().is_none_or(|id| keys.contains(&id)), "{loan}");
        }
    }

    #[test]
    fn an_event_of_which_no_rule_speaks_belongs_to_each_of_the_streams_that_it_names() {
        let of_type = |wanted: &str| loans(&[]).iter().filter(|(stream, _)| stream.stream_type() == wanted).count();
        assert!(of_type("book") > 10 && of_type("member") > 10);
    }

    #[test]
    fn a_key_has_the_type_of_its_field() {
        let text = r#"{"type": "record", "name": "Joined", "fields": [
            {"name": "member_id", "type": {"type": "string", "logicalType": "uuid"}}, {"name": "book_id", "type": "long"}]}"#;
        let reader = RecordSchema::parse(Topic::Events, 0, text).unwrap();
        let streams = StreamTypes { all: vec!["member".to_owned(), "book".to_owned()], of_events: BTreeMap::new() };
        for event in events(&mut Chance::new(7), &[reader], &Pools::new(&streams, 2), 30).unwrap() {
            let data = reader.json(event.datum()).unwrap();
            let named = &data[format!("{}_id", event.stream_id.stream_type())];
            let named = named.as_str().map_or_else(|| named.to_string(), ToOwned::to_owned);
            assert_eq!(event.stream_id.as_str().split_once('-').unwrap().1, named, "{data}");
        }
    }
}
