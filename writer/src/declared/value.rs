//! The values that rules compute with. Cloning is cheap.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use millrace_schemas::parse_uuid;
use serde_json::Value as Json;
use uuid::Uuid;

use super::types::Type;

/// A value of some [`Type`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Value {
    /// A field of a state that no event has set yet.
    #[default]
    Absent,
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    /// Also enums, decimals and uuids.
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Value>>),
    /// Ordered by key, so that equal maps are written the same.
    Map(Arc<BTreeMap<String, Value>>),
    /// The fields in the order of the record's type.
    Record(Arc<Vec<Value>>),
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }

    pub fn record(fields: Vec<Self>) -> Self {
        Self::Record(Arc::new(fields))
    }

    /// A value of the type, from the JSON of a schema's default; `None` when it does not fit.
    pub fn from_json(type_: &Type, json: &Json) -> Option<Self> {
        Some(match (type_, json) {
            (Type::Null | Type::Nullable(_), Json::Null) => Self::Null,
            (Type::Nullable(inner), json) => return Self::from_json(inner, json),
            (Type::Bool, Json::Bool(value)) => Self::Bool(*value),
            (Type::Int, json) => Self::Int(json.as_i64()?),
            (Type::Double, json) => Self::Double(json.as_f64()?),
            (Type::Text | Type::Enum(_), Json::String(text)) => Self::text(text),
            (Type::Bytes, Json::String(text)) => Self::Bytes(bytes_of(text)?.into()),
            (Type::Decimal(type_), Json::String(text)) => {
                Self::text(&type_.from_bytes(&bytes_of(text)?).ok()?.to_string())
            }
            (Type::Uuid { in_bytes: true }, Json::String(text)) => {
                Self::text(&Uuid::from_slice(&bytes_of(text)?).ok()?.to_string())
            }
            (Type::Uuid { in_bytes: false }, Json::String(text)) => Self::text(&parse_uuid(text).ok()?.to_string()),
            (Type::List(inner), Json::Array(items)) => {
                Self::list(items.iter().map(|item| Self::from_json(inner, item)).collect::<Option<_>>()?)
            }
            (Type::Map(inner), Json::Object(entries)) => {
                let entries = entries.iter().map(|(key, json)| Some((key.clone(), Self::from_json(inner, json)?)));
                Self::Map(Arc::new(entries.collect::<Option<_>>()?))
            }
            (Type::Record(record), Json::Object(object)) => {
                let fields = record.fields.iter().map(|field| match object.get(&field.name) {
                    Some(json) => Self::from_json(&field.type_, json),
                    None => field.default.clone(),
                });
                Self::record(fields.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// What it costs to read the value's own text or bytes once, in steps. Parts of the value do not count.
    pub fn text_weight(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64 / 16,
            Self::Bytes(bytes) => bytes.len() as u64 / 16,
            _ => 0,
        }
    }
}

/// The bytes that a schema's default writes as code points.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("(not set)"),
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            other => write!(f, "{other:?}"),
        }
    }
}
