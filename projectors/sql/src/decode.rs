//! The cells of a column, from decoded Avro values.

use apache_avro::Schema;
use apache_avro::types::Value;
use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use millrace_schemas::json_from_avro;
use serde_json::Value as Json;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::columns::Kind;

/// A column of a batch: a cell for each event.
#[derive(Debug)]
pub(crate) enum Cells {
    Boolean(Vec<Option<bool>>),
    Integer(Vec<Option<i32>>),
    Bigint(Vec<Option<i64>>),
    Real(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
    /// Also of a numeric column, whose array Postgres casts.
    Text(Vec<Option<String>>),
    Bytea(Vec<Option<Vec<u8>>>),
    Uuid(Vec<Option<Uuid>>),
    Date(Vec<Option<Date>>),
    Time(Vec<Option<Time>>),
    Timestamp(Vec<Option<DateTime>>),
    Timestamptz(Vec<Option<Timestamp>>),
    Jsonb(Vec<Option<Json>>),
}

impl Cells {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(Vec::new()),
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Bigint => Self::Bigint(Vec::new()),
            Kind::Real => Self::Real(Vec::new()),
            Kind::Double => Self::Double(Vec::new()),
            Kind::Text | Kind::Numeric => Self::Text(Vec::new()),
            Kind::Bytea => Self::Bytea(Vec::new()),
            Kind::Uuid => Self::Uuid(Vec::new()),
            Kind::Date => Self::Date(Vec::new()),
            Kind::Time => Self::Time(Vec::new()),
            Kind::Timestamp => Self::Timestamp(Vec::new()),
            Kind::Timestamptz => Self::Timestamptz(Vec::new()),
            Kind::Jsonb => Self::Jsonb(Vec::new()),
        }
    }

    /// Adds a cell.
    ///
    /// # Errors
    /// When the value has no place in the column's type, such as a time beyond the calendar.
    pub(crate) fn push(&mut self, schema: &Schema, value: Value) -> Result<(), String> {
        let (schema, value) = match (schema, value) {
            (Schema::Union(union), Value::Union(branch, inner)) => {
                (union.variants().get(branch as usize).unwrap_or(&Schema::Null), *inner)
            }
            other => other,
        };
        let is_null = matches!(value, Value::Null);
        match self {
            Self::Boolean(cells) => cells.push(cell(is_null, || as_boolean(&value))?),
            Self::Integer(cells) => cells.push(cell(is_null, || as_integer(&value))?),
            Self::Bigint(cells) => cells.push(cell(is_null, || as_long(&value))?),
            Self::Real(cells) => cells.push(cell(is_null, || as_real(&value))?),
            Self::Double(cells) => cells.push(cell(is_null, || as_double(&value))?),
            Self::Text(cells) => cells.push(cell(is_null, || as_text(schema, value))?),
            Self::Bytea(cells) => cells.push(cell(is_null, || as_bytes(value))?),
            Self::Uuid(cells) => cells.push(cell(is_null, || as_uuid(&value))?),
            Self::Date(cells) => cells.push(cell(is_null, || as_date(&value))?),
            Self::Time(cells) => cells.push(cell(is_null, || as_time(&value))?),
            Self::Timestamp(cells) => cells.push(cell(is_null, || as_local(&value))?),
            Self::Timestamptz(cells) => cells.push(cell(is_null, || as_instant(&value))?),
            Self::Jsonb(cells) => {
                cells.push(cell(is_null, || json_from_avro(schema, &value).map_err(|error| error.to_string()))?);
            }
        }
        Ok(())
    }

    /// The parameter of the statement: an array.
    pub(crate) fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Boolean(cells) => cells,
            Self::Integer(cells) => cells,
            Self::Bigint(cells) => cells,
            Self::Real(cells) => cells,
            Self::Double(cells) => cells,
            Self::Text(cells) => cells,
            Self::Bytea(cells) => cells,
            Self::Uuid(cells) => cells,
            Self::Date(cells) => cells,
            Self::Time(cells) => cells,
            Self::Timestamp(cells) => cells,
            Self::Timestamptz(cells) => cells,
            Self::Jsonb(cells) => cells,
        }
    }
}

fn cell<T>(is_null: bool, read: impl FnOnce() -> Result<T, String>) -> Result<Option<T>, String> {
    if is_null { Ok(None) } else { read().map(Some) }
}

fn unexpected(value: &Value) -> String {
    format!("the Avro value {value:?} is not of the column's type")
}

fn beyond(error: jiff::Error) -> String {
    format!("a date or time is beyond the calendar: {error}")
}

fn as_boolean(value: &Value) -> Result<bool, String> {
    if let Value::Boolean(value) = value { Ok(*value) } else { Err(unexpected(value)) }
}

fn as_integer(value: &Value) -> Result<i32, String> {
    if let Value::Int(value) = value { Ok(*value) } else { Err(unexpected(value)) }
}

fn as_long(value: &Value) -> Result<i64, String> {
    match value {
        Value::Long(value) => Ok(*value),
        Value::Int(value) => Ok(i64::from(*value)),
        _ => Err(unexpected(value)),
    }
}

fn as_real(value: &Value) -> Result<f32, String> {
    if let Value::Float(value) = value { Ok(*value) } else { Err(unexpected(value)) }
}

fn as_double(value: &Value) -> Result<f64, String> {
    match value {
        Value::Double(value) => Ok(*value),
        Value::Float(value) => Ok(f64::from(*value)),
        _ => Err(unexpected(value)),
    }
}

/// A text, a symbol, or a decimal in digits.
fn as_text(schema: &Schema, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) | Value::Enum(_, text) if text.contains('\0') => {
            Err("the text has a U+0000 character, which Postgres can't store".to_owned())
        }
        Value::String(text) | Value::Enum(_, text) => Ok(text),
        Value::Decimal(_) => match json_from_avro(schema, &value) {
            Ok(Json::String(digits)) => Ok(digits),
            Ok(_) => Err(unexpected(&value)),
            Err(error) => Err(error.to_string()),
        },
        _ => Err(unexpected(&value)),
    }
}

fn as_bytes(value: Value) -> Result<Vec<u8>, String> {
    match value {
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Ok(bytes),
        _ => Err(unexpected(&value)),
    }
}

fn as_uuid(value: &Value) -> Result<Uuid, String> {
    if let Value::Uuid(value) = value { Ok(*value) } else { Err(unexpected(value)) }
}

fn as_date(value: &Value) -> Result<Date, String> {
    let Value::Date(days) = value else { return Err(unexpected(value)) };
    let since_1970 = SignedDuration::from_hours(i64::from(*days) * 24);
    Date::constant(1970, 1, 1).checked_add(since_1970).map_err(beyond)
}

fn as_time(value: &Value) -> Result<Time, String> {
    let since_midnight = match value {
        Value::TimeMillis(millis) => SignedDuration::from_millis(i64::from(*millis)),
        Value::TimeMicros(micros) => SignedDuration::from_micros(*micros),
        _ => return Err(unexpected(value)),
    };
    Time::midnight().checked_add(since_midnight).map_err(beyond)
}

fn as_local(value: &Value) -> Result<DateTime, String> {
    let since_1970 = match value {
        Value::LocalTimestampMillis(millis) => SignedDuration::from_millis(*millis),
        Value::LocalTimestampMicros(micros) => SignedDuration::from_micros(*micros),
        Value::LocalTimestampNanos(nanos) => SignedDuration::from_nanos(*nanos),
        _ => return Err(unexpected(value)),
    };
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(since_1970).map_err(beyond)
}

fn as_instant(value: &Value) -> Result<Timestamp, String> {
    match value {
        Value::TimestampMillis(millis) => Timestamp::from_millisecond(*millis).map_err(beyond),
        Value::TimestampMicros(micros) => Timestamp::from_microsecond(*micros).map_err(beyond),
        Value::TimestampNanos(nanos) => Timestamp::from_nanosecond(i128::from(*nanos)).map_err(beyond),
        _ => Err(unexpected(value)),
    }
}
