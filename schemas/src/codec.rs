//! The codec of one log: finds the registry's schemas for the log's topics, and encodes and reads values with them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::RwLock;

use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::avro_json::Mismatch;
use crate::definition::{LogDefinition, Topic, subject};
use crate::framing::{self, FrameError};
use crate::record_schema::RecordSchema;
use crate::registry::{Registry, RegistryError};
use crate::{LogName, strict_json};

/// Most names of records in a message.
const MAX_NAMES: usize = 20;

/// The schemas of one log's topics, by the ids that the registry gave them.
///
/// [`Codec::connect`] looks up the newest version of each record. The codec looks up another version when the first
/// value with its id comes, and keeps it. It never registers a schema.
pub struct Codec {
    log: LogName,
    registry: Registry,
    /// The newest version of each record of the definition.
    newest: HashMap<(Topic, String), &'static RecordSchema>,
    /// Every schema that the codec has looked up, by topic and registry id.
    known: RwLock<HashMap<(Topic, u32), &'static RecordSchema>>,
}

/// A value of a topic together with its schema, not yet decoded.
#[derive(Debug)]
pub struct Received<'a> {
    /// The version that its sender encoded it with.
    pub schema: &'static RecordSchema,
    /// The version that [`Received::read`] decodes to; `None` when the log definition does not have the record.
    newest: Option<&'static RecordSchema>,
    datum: Cow<'a, [u8]>,
}

/// Why a value can't be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The log definition has no such record on that topic.
    #[error("the log definition has no record {0:?} on that topic")]
    NoSuchRecord(String),
    /// The JSON does not fit the record's schema.
    #[error("{record} can't be encoded: {mismatch}")]
    Mismatch {
        /// The record's name, such as `OrderPlaced`.
        record: String,
        /// The place in the JSON, and what is wrong there.
        mismatch: Mismatch,
    },
    /// The Rust value does not fit the record's schema.
    #[error("{record} can't be encoded: {reason}")]
    Type {
        /// The record's name, such as `OrderPlaced`.
        record: String,
        /// The encoder's complaint.
        reason: String,
    },
    /// apache-avro refused the value although its JSON fitted.
    #[error("{record} can't be encoded: {source}")]
    Avro {
        /// The record's name, such as `OrderPlaced`.
        record: String,
        /// apache-avro's own error.
        source: Box<apache_avro::Error>,
    },
}

impl EncodeError {
    /// The place in the record and what is wrong there, without the record's name.
    pub fn problem(&self) -> String {
        match self {
            Self::NoSuchRecord(_) => self.to_string(),
            Self::Mismatch { mismatch, .. } => mismatch.to_string(),
            Self::Type { reason, .. } => reason.clone(),
            Self::Avro { source, .. } => source.to_string(),
        }
    }
}

/// Why a value can't be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Nobody will ever be able to read the value: dead-letter it.
    #[error("{reason}")]
    Unreadable {
        /// Stable code for programs, such as `unknown_schema_id`.
        code: &'static str,
        /// A sentence for people.
        reason: String,
    },
    /// The registry did not answer: try again.
    #[error(transparent)]
    Transient(RegistryError),
}

impl DecodeError {
    pub(crate) fn unreadable(code: &'static str, reason: impl Into<String>) -> Self {
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
    /// The codec of a log with this definition. Asks the registry for the id of every schema in it.
    ///
    /// # Errors
    /// When the registry does not answer, or lacks a schema (`millrace schemas register` adds it).
    pub async fn connect(registry: Registry, log: &LogName, definition: &LogDefinition) -> Result<Self, RegistryError> {
        let mut codec = Self::open(registry, log);
        let mut known = HashMap::new();
        for record in definition.records() {
            let id = codec.registry.id_of(&record.subject(log), &record.text).await?;
            let schema = RecordSchema::parse(record.topic, id, &record.text)
                .map_err(|error| RegistryError::NotAvro { id, reason: error.to_string() })?;
            codec.newest.insert((record.topic, record.name.clone()), schema);
            known.insert((record.topic, id), schema);
        }
        codec.known = RwLock::new(known);
        Ok(codec)
    }

    /// A codec that knows no definition and looks up every schema as its first value comes. It can only read.
    pub fn open(registry: Registry, log: &LogName) -> Self {
        Self { log: log.clone(), registry, newest: HashMap::new(), known: RwLock::default() }
    }

    /// The newest version of a record of the definition.
    ///
    /// # Errors
    /// When the definition has no such record.
    pub fn newest(&self, topic: Topic, name: &str) -> Result<&'static RecordSchema, EncodeError> {
        let found = self.newest.get(&(topic, name.to_owned())).copied();
        found.ok_or_else(|| EncodeError::NoSuchRecord(name.to_owned()))
    }

    /// Reads JSON text as the record `name` of a topic, in its newest version.
    ///
    /// # Errors
    /// Unreadable, never transient: this does not ask the registry.
    pub fn receive_json(&self, topic: Topic, name: &str, text: &[u8]) -> Result<Received<'static>, DecodeError> {
        let found = self.newest.values().find(|schema| schema.topic == topic && schema.is_called(name));
        let schema = *found.ok_or_else(|| self.wrong_type(topic, name))?;
        let json =
            strict_json::from_slice(text).map_err(|e| DecodeError::unreadable("no_json", format!("not JSON: {e}")))?;
        Received::from_json(schema, &json)
    }

    /// Finds the schema of a framed value of a topic.
    ///
    /// # Errors
    /// Unreadable; or transient, when the id is new and the registry does not answer.
    pub async fn receive<'a>(&self, topic: Topic, value: &'a [u8]) -> Result<Received<'a>, DecodeError> {
        let (id, datum) = framing::unframe(value)?;
        let schema = self.schema(topic, id).await?;
        let newest = self.newest.get(&(topic, schema.name.clone())).copied();
        Ok(Received { schema, newest, datum: datum.into() })
    }

    /// The schema with a registry id, for values of a topic. The codec accepts only ids that are registered under the
    /// topic's own subjects, because anybody may register anything under others.
    ///
    /// # Errors
    /// Unreadable; or transient, when the id is new and the registry does not answer.
    pub async fn schema(&self, topic: Topic, id: u32) -> Result<&'static RecordSchema, DecodeError> {
        if let Some(known) = self.known(topic, id)? {
            return Ok(known);
        }
        let schema = self.look_up(topic, id).await?;
        Ok(*self.known.write().unwrap_or_else(|e| e.into_inner()).entry((topic, id)).or_insert(schema))
    }

    /// The schema, if the codec has looked it up before.
    ///
    /// # Errors
    /// When the schema belongs to another of the log's topics.
    fn known(&self, topic: Topic, id: u32) -> Result<Option<&'static RecordSchema>, DecodeError> {
        let known = self.known.read().unwrap_or_else(|e| e.into_inner());
        let elsewhere = || known.iter().find(|((_, known), _)| *known == id);
        match (known.get(&(topic, id)), elsewhere()) {
            (Some(schema), _) => Ok(Some(schema)),
            (None, Some((_, schema))) => Err(self.wrong_type(topic, &schema.name)),
            (None, None) => Ok(None),
        }
    }

    fn wrong_type(&self, topic: Topic, name: &str) -> DecodeError {
        let name: String = name.chars().take(100).collect();
        let mut known: Vec<&str> =
            self.newest.keys().filter(|(of, _)| *of == topic).map(|(_, known)| known.as_str()).collect();
        known.sort_unstable();
        let more = if known.len() > MAX_NAMES { ", …" } else { "" };
        known.truncate(MAX_NAMES);
        let (topic, known) = (topic.as_str(), known.join(", "));
        DecodeError::unreadable("wrong_type", format!("{name} is not one of the log's {topic}: {known}{more}"))
    }

    async fn look_up(&self, topic: Topic, id: u32) -> Result<&'static RecordSchema, DecodeError> {
        let registered = self.registry.schema(id).await.map_err(not_found)?;
        let not_avro = |reason: String| DecodeError::unreadable("no_avro_schema", reason);
        let full_name = registered.parsed.name().map(ToString::to_string);
        let full_name = full_name.ok_or_else(|| not_avro(format!("schema {id} is not a record")))?;
        let subject = subject(topic, &full_name, &self.log);
        match self.registry.id_of(&subject, &registered.raw).await {
            Ok(own) if own == id => {}
            Ok(_) | Err(RegistryError::NotRegistered { .. }) => {
                let reason = format!("schema {id} ({full_name}) is not registered under the subject {subject}");
                return Err(DecodeError::unreadable("foreign_schema", reason));
            }
            Err(error) => return Err(DecodeError::Transient(error)),
        }
        RecordSchema::parse(topic, id, &registered.raw).map_err(|e| not_avro(format!("schema {id}: {e}")))
    }
}

impl Received<'static> {
    /// Encodes a record from JSON in the form that people write.
    ///
    /// # Errors
    /// Unreadable, when the JSON does not fit the schema; the error names the place.
    pub fn from_json(schema: &'static RecordSchema, json: &serde_json::Value) -> Result<Self, DecodeError> {
        let datum = schema.encode_json(json).map_err(|error| {
            DecodeError::unreadable("schema_mismatch", format!("{}: {}", schema.name, error.problem()))
        })?;
        Ok(Self { schema, newest: Some(schema), datum: datum.into() })
    }
}

impl Received<'static> {
    /// Encodes a record from a Rust value.
    ///
    /// # Errors
    /// Unreadable, when the value does not fit the schema.
    pub fn from_value<T: serde::Serialize>(schema: &'static RecordSchema, value: &T) -> Result<Self, DecodeError> {
        let datum = schema.encode(value);
        let datum = datum.map_err(|error| DecodeError::unreadable("schema_mismatch", error.to_string()))?;
        Ok(Self { schema, newest: Some(schema), datum: datum.into() })
    }
}

impl Received<'_> {
    /// The Avro datum, without a frame.
    pub fn datum(&self) -> &[u8] {
        &self.datum
    }

    /// The record's name without its namespace.
    pub fn name(&self) -> &'static str {
        &self.schema.name
    }

    /// Checks the datum with [`RecordSchema::check`]. Call it on a value from outside before [`Received::read`].
    ///
    /// # Errors
    /// Unreadable; the error names the place in the record.
    pub fn check(&self) -> Result<(), DecodeError> {
        self.schema.check(&self.datum)
    }

    /// A hash of the record's content: see [`RecordSchema::content_hash`].
    pub fn content_hash(&self) -> [u8; 16] {
        self.schema.content_hash(&self.datum)
    }

    /// Decodes the value into the record's Rust type, as [`Received::read_with`] does.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of their schema, or do not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.read_with(PhantomData)
    }

    /// Decodes the value with a seed that is made for the definition's version. A datum of another version is first
    /// rewritten as one of that version.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of their schema, or do not fit the seed.
    pub fn read_with<S: for<'de> DeserializeSeed<'de, Value = T>, T>(&self, seed: S) -> Result<T, DecodeError> {
        match self.newest {
            Some(newest) if newest.registry_id != self.schema.registry_id => {
                newest.decode_with(&self.schema.convert(&self.datum, newest)?, seed)
            }
            _ => self.schema.decode_with(&self.datum, seed),
        }
    }

    /// Decodes the value into JSON, for people.
    ///
    /// # Errors
    /// Unreadable, when the bytes are not a datum of their schema, or have no JSON form.
    pub fn json(&self) -> Result<serde_json::Value, DecodeError> {
        self.schema.json(&self.datum)
    }
}

impl RecordSchema {
    /// Whether `name` is the record's name, with or without its namespace.
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.full_name() == name
    }
}

fn not_found(error: RegistryError) -> DecodeError {
    match error {
        RegistryError::UnknownId(id) => {
            DecodeError::unreadable("unknown_schema_id", format!("the registry has no schema {id}"))
        }
        RegistryError::NotAvro { id, reason } => {
            DecodeError::unreadable("no_avro_schema", format!("schema {id} is not Avro: {reason}"))
        }
        error => DecodeError::Transient(error),
    }
}
