//! Walks an Avro datum without decoding it: to check that decoding is safe, and to hash its content.
//!
//! apache-avro bounds what one collection may allocate, but not what a datum may: from a few bytes, nested arrays of
//! nulls grow to gigabytes. So `check` walks a datum from outside first, with a budget for the whole.

#[cfg(test)]
mod tests;

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, RecordSchema, UuidSchema};
use sha2::{Digest, Sha256};

use crate::avro_json::{Mismatch, avro_from_default, check_text};
use crate::codec::DecodeError;
use crate::logical::{Decimal, DecimalType, TimeUnit, parse_uuid};

/// How many more items than bytes the arrays and maps of a datum may have together. This bounds only items of no bytes
/// (nulls, records without fields): every other item takes a byte at least.
const FREE_ITEMS: usize = 1000;

/// What is wrong with a datum.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The bytes are not a datum of the schema.
    NoDatum(Mismatch),
    /// Bytes follow the datum.
    TrailingBytes(usize),
    /// It would cost more to decode than its length allows.
    TooComplex,
    /// Postgres can't store a text in the datum.
    Text(Mismatch),
}

impl Flaw {
    /// The flaw with the code and the words of a dead letter.
    pub(crate) fn unreadable(self, record: &str) -> DecodeError {
        match self {
            Self::NoDatum(mismatch) => {
                DecodeError::unreadable("no_datum", format!("the value is no datum of {record}: {mismatch}"))
            }
            Self::TrailingBytes(bytes) => {
                DecodeError::unreadable("trailing_bytes", format!("{bytes} bytes are left over after the {record}"))
            }
            Self::TooComplex => DecodeError::unreadable(
                "too_complex",
                format!("the {record} has more items in its arrays and maps than its length allows"),
            ),
            Self::Text(mismatch) => DecodeError::unreadable("schema_mismatch", format!("{record}: {mismatch}")),
        }
    }

    fn no_datum(problem: &str) -> Self {
        Self::NoDatum(Mismatch { path: String::new(), problem: problem.to_owned() })
    }

    fn inside(self, step: &str) -> Self {
        match self {
            Self::NoDatum(mismatch) => Self::NoDatum(mismatch.inside(step)),
            Self::Text(mismatch) => Self::Text(mismatch.inside(step)),
            other => other,
        }
    }
}

/// Checks that the bytes are one datum of the schema, within the budget, and that Postgres can store every text in it.
pub(crate) fn check(schema: &Schema, datum: &[u8]) -> Result<(), Flaw> {
    let mut walk = Walk { rest: datum, items_left: datum.len() + FREE_ITEMS };
    walk.skip(schema)?;
    if walk.rest.is_empty() { Ok(()) } else { Err(Flaw::TrailingBytes(walk.rest.len())) }
}

/// Hashes the record's name, and the name and value of each field that is not at its default. So a new version of the
/// schema that adds a field with a default changes no hash.
pub(crate) fn content_hash(schema: &Schema, name: &str, datum: &[u8]) -> [u8; 16] {
    let mut hash = Sha256::new();
    leaf(&mut hash, name.as_bytes());
    let mut walk = Walk { rest: datum, items_left: usize::MAX };
    // check() has refused data that can't be walked; here two of them need only get different hashes
    if walk.hash(schema, &mut hash).is_err() {
        leaf(&mut hash, datum);
    }
    short(hash)
}

/// A hash of these parts, in this order.
pub fn hash_of_parts<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 16] {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|part| leaf(&mut hash, part));
    short(hash)
}

fn short(hash: Sha256) -> [u8; 16] {
    let digest: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

fn leaf(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn sorted(mut named: Vec<(&[u8], [u8; 32])>, hash: &mut Sha256) {
    named.sort_unstable();
    for (name, digest) in named {
        leaf(hash, name);
        hash.update(digest);
    }
    leaf(hash, b"end");
}

/// A walk through a datum, from left to right.
struct Walk<'d> {
    rest: &'d [u8],
    items_left: usize,
}

impl<'d> Walk<'d> {
    /// Skips one value of the schema, and checks its texts.
    fn skip(&mut self, schema: &Schema) -> Result<(), Flaw> {
        match schema {
            Schema::Null => {}
            Schema::Boolean => match self.take(1)? {
                [0 | 1] => {}
                _ => return Err(Flaw::no_datum("a boolean is neither 0 nor 1")),
            },
            Schema::Int | Schema::Date => {
                i32::try_from(self.long()?).map_err(|_| Flaw::no_datum("a whole number has more than 32 bits"))?;
            }
            Schema::TimeMillis => self.time_of_day(TimeUnit::Millis)?,
            Schema::TimeMicros => self.time_of_day(TimeUnit::Micros)?,
            Schema::Enum(symbols) => {
                let symbol = self.long()?;
                if usize::try_from(symbol).map_or(true, |symbol| symbol >= symbols.symbols.len()) {
                    return Err(Flaw::no_datum(&format!("the enum {} has no symbol {symbol}", symbols.name)));
                }
            }
            Schema::Long
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => {
                self.long()?;
            }
            Schema::Float => {
                self.take(4)?;
            }
            Schema::Double => {
                self.take(8)?;
            }
            Schema::String => {
                self.text()?;
            }
            Schema::Uuid(UuidSchema::String) => {
                parse_uuid(self.text()?).map_err(|problem| Flaw::no_datum(&problem))?;
            }
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                self.bytes()?;
            }
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                self.take(fixed.size)?;
            }
            Schema::Decimal(decimal) => {
                self.decimal(decimal)?;
            }
            Schema::Array(array) => {
                let mut index = 0;
                while let Some(items) = self.block()? {
                    for _ in 0..items {
                        self.skip(&array.items).map_err(|flaw| flaw.inside(&format!("[{index}]")))?;
                        index += 1;
                    }
                }
            }
            Schema::Map(map) => {
                while let Some(items) = self.block()? {
                    for _ in 0..items {
                        self.text()?;
                        self.skip(&map.types)?;
                    }
                }
            }
            Schema::Union(union) => {
                let branch = self.branch(union.variants())?;
                self.skip(branch)?;
            }
            Schema::Record(record) => {
                for field in &record.fields {
                    self.skip(&field.schema).map_err(|flaw| flaw.inside(&field.name))?;
                }
            }
            Schema::Ref { .. } => return Err(Flaw::no_datum("the schema refers to another")),
        }
        Ok(())
    }

    /// Skips one value and hashes it.
    fn hash(&mut self, schema: &Schema, hash: &mut Sha256) -> Result<(), Flaw> {
        match schema {
            Schema::Record(record) => self.hash_record(record, hash),
            Schema::Array(array) => {
                while let Some(items) = self.block()? {
                    for _ in 0..items {
                        leaf(hash, b"item");
                        self.hash(&array.items, hash)?;
                    }
                }
                leaf(hash, b"end");
                Ok(())
            }
            Schema::Map(map) => self.hash_map(&map.types, hash),
            Schema::Union(union) => {
                let branch = self.branch(union.variants())?;
                self.hash(branch, hash)
            }
            Schema::Decimal(decimal) => {
                leaf(hash, &self.decimal(decimal)?.bytes());
                Ok(())
            }
            _ => {
                leaf(hash, self.passed(schema)?);
                Ok(())
            }
        }
    }

    /// The fields by name, each once: two versions may have them in another order.
    fn hash_record(&mut self, record: &RecordSchema, hash: &mut Sha256) -> Result<(), Flaw> {
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            if let Some(default) = &field.default {
                let mut ahead = Walk { rest: self.rest, items_left: usize::MAX };
                let value = ahead.passed(&field.schema)?;
                if is_default(&field.schema, default, value) {
                    self.rest = ahead.rest;
                    continue;
                }
            }
            fields.push((field.name.as_bytes(), self.digest(&field.schema)?));
        }
        sorted(fields, hash);
        Ok(())
    }

    /// The entries by key: an encoder may write them in any order.
    fn hash_map(&mut self, values: &Schema, hash: &mut Sha256) -> Result<(), Flaw> {
        let mut entries = Vec::new();
        while let Some(items) = self.block()? {
            for _ in 0..items {
                let key = self.bytes()?;
                entries.push((key, self.digest(values)?));
            }
        }
        sorted(entries, hash);
        Ok(())
    }

    /// The hash of one value.
    fn digest(&mut self, schema: &Schema) -> Result<[u8; 32], Flaw> {
        let mut hash = Sha256::new();
        self.hash(schema, &mut hash)?;
        Ok(hash.finalize().into())
    }

    fn passed(&mut self, schema: &Schema) -> Result<&'d [u8], Flaw> {
        let before = self.rest;
        self.skip(schema)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    fn branch<'s>(&mut self, variants: &'s [Schema]) -> Result<&'s Schema, Flaw> {
        let branch = self.long()?;
        let variant = usize::try_from(branch).ok().and_then(|branch| variants.get(branch));
        variant.ok_or_else(|| Flaw::no_datum(&format!("a union has no branch {branch}")))
    }

    /// The number of items in the next block of an array or a map; `None` after the last block. In Avro a negative
    /// number means that the block's length in bytes follows.
    fn block(&mut self) -> Result<Option<usize>, Flaw> {
        let count = self.long()?;
        if count < 0 {
            self.long()?;
        }
        let items = usize::try_from(count.unsigned_abs()).map_err(|_| Flaw::TooComplex)?;
        self.items_left = self.items_left.checked_sub(items).ok_or(Flaw::TooComplex)?;
        Ok((items > 0).then_some(items))
    }

    fn text(&mut self) -> Result<&'d str, Flaw> {
        let bytes = self.bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| Flaw::no_datum("a text is not UTF-8"))?;
        check_text(text).map_err(Flaw::Text)?;
        Ok(text)
    }

    fn decimal(&mut self, schema: &DecimalSchema) -> Result<Decimal, Flaw> {
        let bytes = match &schema.inner {
            InnerDecimalSchema::Bytes => self.bytes()?,
            InnerDecimalSchema::Fixed(fixed) => self.take(fixed.size)?,
        };
        DecimalType::from(schema).from_bytes(bytes).map_err(|problem| Flaw::no_datum(&problem))
    }

    fn time_of_day(&mut self, unit: TimeUnit) -> Result<(), Flaw> {
        unit.check_time_of_day(self.long()?).map_err(|problem| Flaw::no_datum(&problem))
    }

    fn bytes(&mut self) -> Result<&'d [u8], Flaw> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| Flaw::no_datum("a length is negative"))?)
    }

    fn take(&mut self, count: usize) -> Result<&'d [u8], Flaw> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| Flaw::no_datum("it ends inside"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a zigzag number of at most 64 bits.
    fn long(&mut self) -> Result<i64, Flaw> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(Flaw::no_datum("a number has more than 64 bits"))
    }
}

/// Two data that say the same may differ in bytes: in the order of a map's entries, or in how many bytes a decimal has.
fn is_default(schema: &Schema, default: &serde_json::Value, value: &[u8]) -> bool {
    let encoded = avro_from_default(schema, default).ok().and_then(|default| {
        let writer = apache_avro::writer::datum::GenericDatumWriter::builder(schema).build().ok()?;
        writer.write_value_to_vec(default).ok()
    });
    let digest = |datum: &[u8]| Walk { rest: datum, items_left: usize::MAX }.digest(schema).ok();
    encoded.is_some_and(|default| default == value || digest(&default).is_some_and(|same| Some(same) == digest(value)))
}
