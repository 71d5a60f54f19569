//! Values of a log's topics: Confluent framing and Avro outside, JSON or Rust types inside.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Once, RwLock};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::LogName;
use crate::avro_json::{Mismatch, avro_from_json, storable};
use crate::contract::{Contract, RecordSchema, Topic, TranscodeError};
use crate::framing::{self, FrameError};
use crate::registry::{Registry, RegistryError};
use crate::strict_json;

/// Most memory that a length inside an Avro datum can make the decoder set aside, in bytes. Kafka's own limit on a
/// record is 1 MiB, so an honest value never comes near.
const MAX_ALLOCATION: usize = 4 * 1024 * 1024;

/// Encodes and decodes the values of one log's topics, with the schema ids that the registry gave them.
///
/// The ids are resolved once, by [`Codec::connect`]; nothing is ever registered here.
pub struct Codec {
    contract: &'static Contract,
    registry: Registry,
    own: HashMap<u32, OwnSchema>,
    ids: HashMap<(Topic, &'static str), u32>,
    foreign: RwLock<HashMap<u32, Arc<ForeignSchema>>>,
}

struct OwnSchema {
    record: &'static RecordSchema,
    writer: GenericDatumWriter<'static>,
    reader: GenericDatumReader<'static>,
}

/// A writer's schema that is not the contract's: another version of one of its records, or none of them.
struct ForeignSchema {
    writer: Schema,
    record: Option<&'static RecordSchema>,
}

/// A value that is known to be a record of the contract; reading it is the next step.
pub struct Received<'a> {
    /// The record it is.
    pub record: &'static RecordSchema,
    id: u32,
    content: Content<'a>,
}

enum Content<'a> {
    /// A datum of the contract's own schema.
    Own(&'a GenericDatumReader<'static>, &'a [u8]),
    /// Resolved to the contract's schema.
    Resolved(Value),
}

/// Why a value can't be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The contract has no such record on that topic.
    #[error("the contract has no record {0:?} on that topic")]
    NoSuchRecord(String),
    /// The JSON does not fit the record's schema.
    #[error("{record} can't be encoded: {mismatch}")]
    Mismatch {
        /// The record.
        record: &'static str,
        /// Where and why.
        mismatch: Mismatch,
    },
    /// The log's JSON is not the event's, or its schema can't hold it.
    #[error("{record} can't be encoded: {source}")]
    Event {
        /// The event's record.
        record: &'static str,
        /// Why.
        source: TranscodeError,
    },
    /// Avro refused it.
    #[error("{record} can't be encoded: {source}")]
    Avro {
        /// The record.
        record: &'static str,
        /// Avro's reason.
        source: Box<apache_avro::Error>,
    },
}

/// Why a value can't be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It will never be readable: dead-letter it.
    #[error("{reason}")]
    Unreadable {
        /// Stable code, such as `unknown_schema_id`.
        code: &'static str,
        /// A sentence.
        reason: String,
    },
    /// The registry did not answer: try again.
    #[error(transparent)]
    Transient(RegistryError),
}

impl DecodeError {
    fn unreadable(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Unreadable { code, reason: reason.into() }
    }
}

impl From<FrameError> for DecodeError {
    fn from(error: FrameError) -> Self {
        let code = match error {
            FrameError::TooShort(_) => "no_frame",
            FrameError::NoMagicByte(_) => "no_magic_byte",
        };
        Self::unreadable(code, error.to_string())
    }
}

impl Codec {
    /// Resolves the ids of every record of `contract` under the log's subjects.
    ///
    /// # Errors
    /// When the registry does not answer, or a schema is not registered (`millrace schemas register` does that).
    pub async fn connect(
        registry: Registry,
        log: &LogName,
        contract: &'static Contract,
    ) -> Result<Self, RegistryError> {
        static LIMIT: Once = Once::new();
        LIMIT.call_once(|| {
            apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        });
        let mut own = HashMap::new();
        let mut ids = HashMap::new();
        for record in contract.records() {
            let id = registry.id_of(&record.subject(log), record.text).await?;
            ids.insert((record.topic, record.name), id);
            own.insert(id, OwnSchema::of(record));
        }
        Ok(Self { contract, registry, own, ids, foreign: RwLock::default() })
    }

    /// Encodes JSON as the record `name` of a topic, framed.
    ///
    /// # Errors
    /// When the contract has no such record there, or the JSON does not fit its schema.
    pub fn encode_json(&self, topic: Topic, name: &str, json: &Json) -> Result<Vec<u8>, EncodeError> {
        let (id, schema) = self.own_schema(topic, name)?;
        let record = schema.record.name;
        let value =
            avro_from_json(&schema.record.avro, json).map_err(|mismatch| EncodeError::Mismatch { record, mismatch })?;
        let mut framed = framing::frame(id);
        let written = schema.writer.write_value_ref(&mut framed, &value);
        written.map_err(|source| EncodeError::Avro { record, source: source.into() })?;
        Ok(framed)
    }

    /// Encodes a Rust value as the record `name` of a topic, framed.
    ///
    /// # Errors
    /// When the contract has no such record there, or the value does not fit its schema.
    pub fn encode<T: Serialize>(&self, topic: Topic, name: &str, value: &T) -> Result<Vec<u8>, EncodeError> {
        let (id, schema) = self.own_schema(topic, name)?;
        let mut framed = framing::frame(id);
        let written = schema.writer.write_ser(&mut framed, value);
        written.map_err(|source| EncodeError::Avro { record: schema.record.name, source: source.into() })?;
        Ok(framed)
    }

    /// Encodes an event's JSON, as the log stores it, as the event `name`, framed.
    ///
    /// # Errors
    /// When the contract has no such event, or the JSON does not fit its schema.
    pub fn encode_event(&self, name: &str, json: &str) -> Result<Vec<u8>, EncodeError> {
        let (id, schema) = self.own_schema(Topic::Events, name)?;
        let transcode = schema.record.transcode.ok_or_else(|| EncodeError::NoSuchRecord(name.to_owned()))?;
        let mut framed = framing::frame(id);
        let record = schema.record.name;
        transcode(&schema.writer, json, &mut framed).map_err(|source| EncodeError::Event { record, source })?;
        Ok(framed)
    }

    /// Takes JSON text as the record `name` of a topic.
    ///
    /// # Errors
    /// Always unreadable, never transient: no registry is asked.
    pub fn decode_json(&self, topic: Topic, name: &str, text: &[u8]) -> Result<Received<'_>, DecodeError> {
        let record = self.contract.record(topic, name);
        let record = record.ok_or_else(|| wrong_type(self.contract, topic, name))?;
        let json =
            strict_json::from_slice(text).map_err(|e| DecodeError::unreadable("no_json", format!("not JSON: {e}")))?;
        Received::from_json(record, &json)
            .map_err(|mismatch| DecodeError::unreadable("schema_mismatch", format!("{name}: {mismatch}")))
    }

    /// Takes a framed value of a topic. A schema id that is not the contract's own is looked up once and kept; its
    /// datum is resolved to the contract's schema of the same record.
    ///
    /// # Errors
    /// Unreadable, or transient while the registry is away.
    pub async fn decode<'a>(&'a self, topic: Topic, value: &'a [u8]) -> Result<Received<'a>, DecodeError> {
        let (id, datum) = framing::unframe(value)?;
        if let Some(own) = self.own.get(&id) {
            if own.record.topic != topic {
                return Err(wrong_type(self.contract, topic, own.record.name));
            }
            return Ok(Received { record: own.record, id, content: Content::Own(&own.reader, datum) });
        }
        let foreign = self.foreign(topic, id).await?;
        let record = foreign.record.ok_or_else(|| {
            let name = foreign.writer.name().map(ToString::to_string);
            wrong_type(self.contract, topic, &name.unwrap_or_else(|| "no record".into()))
        })?;
        let reader = GenericDatumReader::builder(&foreign.writer).reader_schema(&record.avro).build();
        let reader = reader.map_err(|e| no_datum(id, &e))?;
        let value = whole(id, datum, |datum| reader.read_value(datum))?;
        Ok(Received { record, id, content: Content::Resolved(value) })
    }

    fn own_schema(&self, topic: Topic, name: &str) -> Result<(u32, &OwnSchema), EncodeError> {
        let found = self.contract.record(topic, name).and_then(|record| {
            let id = self.ids.get(&(topic, record.name))?;
            Some((*id, self.own.get(id)?))
        });
        found.ok_or_else(|| EncodeError::NoSuchRecord(name.to_owned()))
    }

    async fn foreign(&self, topic: Topic, id: u32) -> Result<Arc<ForeignSchema>, DecodeError> {
        if let Some(known) = self.foreign.read().unwrap_or_else(|e| e.into_inner()).get(&id) {
            return Ok(known.clone());
        }
        let writer = match self.registry.schema(id).await {
            Ok(schema) => schema,
            Err(RegistryError::UnknownId(id)) => {
                return Err(DecodeError::unreadable("unknown_schema_id", format!("the registry has no schema {id}")));
            }
            Err(RegistryError::NotAvro { id, reason }) => {
                return Err(DecodeError::unreadable("no_avro_schema", format!("schema {id} is not Avro: {reason}")));
            }
            Err(error) => return Err(DecodeError::Transient(error)),
        };
        let record = writer.name().and_then(|name| self.contract.record(topic, name.as_ref()));
        let foreign = Arc::new(ForeignSchema { writer, record });
        self.foreign.write().unwrap_or_else(|e| e.into_inner()).insert(id, foreign.clone());
        Ok(foreign)
    }
}

/// A datum being read, which notes when more is asked for than there is. apache-avro 0.22 takes the end of input for
/// a null where a boolean, a text or a union's branch should begin: a datum cut short would read as another one.
struct Datum<'a> {
    rest: &'a [u8],
    overrun: bool,
}

impl Read for Datum<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.overrun |= buffer.len() > self.rest.len();
        self.rest.read(buffer)
    }
}

impl Received<'static> {
    /// A record that is given as JSON.
    ///
    /// # Errors
    /// When the JSON is not the record's.
    pub fn from_json(record: &'static RecordSchema, json: &Json) -> Result<Self, Mismatch> {
        let value = avro_from_json(&record.avro, json)?;
        Ok(Self { record, id: 0, content: Content::Resolved(value) })
    }
}

impl Received<'_> {
    /// Reads it as the record's Rust type.
    ///
    /// # Errors
    /// Unreadable, when the datum is none, or not the type's.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        match &self.content {
            Content::Own(reader, datum) => whole(self.id, datum, |datum| reader.read_deser(datum)),
            Content::Resolved(value) => apache_avro::from_value(value)
                .map_err(|e| DecodeError::unreadable("schema_mismatch", format!("{}: {e}", self.record.name))),
        }
    }

    /// Reads it as a tree of values.
    ///
    /// # Errors
    /// Unreadable, when the datum is none.
    pub fn value(self) -> Result<Value, DecodeError> {
        match self.content {
            Content::Own(reader, datum) => whole(self.id, datum, |datum| reader.read_value(datum)),
            Content::Resolved(value) => Ok(value),
        }
    }

    /// Reads it as the record's Rust type, after a check that every text in it can be stored: what comes from outside.
    ///
    /// # Errors
    /// Unreadable, when the datum is none, not the type's, or has a text that Postgres can't store.
    pub fn read_storable<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        let record = self.record;
        let value = self.value()?;
        let mismatch =
            |problem: String| DecodeError::unreadable("schema_mismatch", format!("{}: {problem}", record.name));
        storable(&value).map_err(|e| mismatch(e.to_string()))?;
        apache_avro::from_value(&value).map_err(|e| mismatch(e.to_string()))
    }
}

/// Reads a datum to its end, no further and no less.
fn whole<T>(
    id: u32,
    datum: &[u8],
    read: impl FnOnce(&mut Datum<'_>) -> Result<T, apache_avro::Error>,
) -> Result<T, DecodeError> {
    let mut datum = Datum { rest: datum, overrun: false };
    let read = read(&mut datum).map_err(|e| no_datum(id, &e))?;
    if datum.overrun {
        return Err(DecodeError::unreadable("no_datum", format!("the value ends inside the datum of schema {id}")));
    }
    if !datum.rest.is_empty() {
        let reason = format!("{} bytes are left over after the datum of schema {id}", datum.rest.len());
        return Err(DecodeError::unreadable("trailing_bytes", reason));
    }
    Ok(read)
}

fn no_datum(id: u32, error: &apache_avro::Error) -> DecodeError {
    DecodeError::unreadable("no_datum", format!("the value is no datum of schema {id}: {error}"))
}

impl OwnSchema {
    fn of(record: &'static RecordSchema) -> Self {
        let writer = GenericDatumWriter::builder(&record.avro).build();
        let reader = GenericDatumReader::builder(&record.avro).build();
        Self {
            record,
            writer: writer.expect("a parsed schema without references resolves"),
            reader: reader.expect("a parsed schema without references resolves"),
        }
    }
}

fn wrong_type(contract: &Contract, topic: Topic, name: &str) -> DecodeError {
    let known = contract.records().iter().filter(|record| record.topic == topic).map(|record| record.name);
    let known: Vec<_> = known.collect();
    let name: String = name.chars().take(200).collect();
    DecodeError::unreadable("wrong_type", format!("{name:?} does not belong here; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::{AccountClosed, AccountOpened, EntryPosted, LedgerEvent};

    fn event() -> impl Strategy<Value = LedgerEvent> {
        let opened = (".*", "[A-Z]{3}", any::<Option<i64>>()).prop_map(|(account_id, currency, limit)| {
            LedgerEvent::AccountOpened(AccountOpened { account_id, currency, overdraft_limit_minor: limit })
        });
        let posted = (".*", ".*", any::<i64>(), any::<i64>(), ".*").prop_map(|(set, account_id, amount, at, text)| {
            LedgerEvent::EntryPosted(EntryPosted {
                entry_set_id: set,
                account_id,
                amount_minor: amount,
                reporting_at: at,
                description: text,
                currency: "CZK".into(),
            })
        });
        let closed = ".*".prop_map(|account_id| LedgerEvent::AccountClosed(AccountClosed { account_id }));
        prop_oneof![opened, posted, closed]
    }

    proptest! {
        /// The short way, from JSON through the Rust type, and the long one, by trees of values, are one.
        #[test]
        fn an_event_has_one_datum_whichever_way_it_is_written_and_is_read_back(event in event()) {
            let record = Contract::ledger().record(Topic::Events, event.name()).unwrap();
            let own = OwnSchema::of(record);
            let json = serde_json::to_string(&event).unwrap();
            let mut short = Vec::new();
            (record.transcode.unwrap())(&own.writer, &json, &mut short).unwrap();
            let tree = avro_from_json(&record.avro, &serde_json::from_str(&json).unwrap());
            if let Ok(tree) = tree {
                // refused only for U+0000, which the writer lets in nowhere
                prop_assert_eq!(&own.writer.write_value_to_vec(tree).unwrap(), &short);
            }
            let received = Received { record, id: 1, content: Content::Own(&own.reader, &short) };
            prop_assert_eq!(LedgerEvent::read(&received).unwrap().unwrap(), event);
            for end in 0..short.len() {
                let cut = Received { record, id: 1, content: Content::Own(&own.reader, &short[..end]) };
                prop_assert!(LedgerEvent::read(&cut).unwrap().is_err(), "cut at {}", end);
            }
        }
    }
}
