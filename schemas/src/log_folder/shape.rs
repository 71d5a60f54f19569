//! Whether data of a schema can be handled safely and shown to people: bounds on the schema's size, and its defaults.

use apache_avro::Schema;
use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, UuidSchema};
use serde_avro_fast::schema::{LogicalType, SchemaMut};

use crate::avro_json::avro_from_default;
use crate::definition::parse_record;
use crate::{DecimalType, Mismatch};

/// Deepest nesting of types; the record itself is the first.
const MAX_DEPTH: usize = 32;
/// Most types in a schema, each use counted.
const MAX_TYPES: usize = 2000;

/// What is wrong with the schema, which was parsed before.
pub(super) fn problems(text: &str) -> Vec<String> {
    let Ok(schema) = parse_record(text) else { return vec![] };
    let mut walk = Walk::default();
    walk.visit(&schema, 1);
    if walk.types > MAX_TYPES {
        let types = walk.types;
        walk.found
            .push(Mismatch::new(format!("the schema has {types} types; the most is {MAX_TYPES}: split the record")));
    }
    let mut problems: Vec<String> = walk.found.iter().map(ToString::to_string).collect();
    if problems.is_empty() {
        problems.extend(problem_of_typed_codec(text, walk.decimals));
    }
    problems
}

/// What the codec for Rust types, which has a parser of its own, finds in a schema with so many decimals. apache-avro
/// takes a decimal whose attributes contradict each other for plain bytes.
fn problem_of_typed_codec(text: &str, decimals: usize) -> Option<String> {
    let refused = |error: &dyn std::fmt::Display| Some(format!("the schema can't be used: {error}"));
    let nodes = match text.parse::<SchemaMut>() {
        Ok(schema) => schema,
        Err(error) => return refused(&error),
    };
    let is_decimal = |logical: &LogicalType| matches!(logical, LogicalType::Decimal(_));
    let found = nodes.nodes().iter().filter(|node| node.logical_type.as_ref().is_some_and(is_decimal)).count();
    if found != decimals {
        return Some("a decimal is bytes or fixed, with a precision of 1 or more and a scale within it".to_owned());
    }
    nodes.freeze().err().and_then(|error| refused(&error))
}

#[derive(Default)]
struct Walk {
    types: usize,
    decimals: usize,
    path: Vec<String>,
    found: Vec<Mismatch>,
}

impl Walk {
    fn visit(&mut self, schema: &Schema, depth: usize) {
        self.types += 1;
        if depth > MAX_DEPTH {
            self.add(format!("types are nested more than {MAX_DEPTH} deep: flatten them"));
            return;
        }
        match schema {
            Schema::Record(record) => {
                for field in &record.fields {
                    self.path.push(field.name.clone());
                    if let Some(default) = &field.default {
                        self.check_default(&field.schema, default);
                    }
                    self.visit(&field.schema, depth + 1);
                    self.path.pop();
                }
            }
            Schema::Array(array) => self.items("[]", &array.items, depth),
            Schema::Map(map) => self.items("{}", &map.types, depth),
            Schema::Union(union) => union.variants().iter().for_each(|variant| self.visit(variant, depth + 1)),
            Schema::Decimal(decimal) => {
                self.decimals += 1;
                problem_of_decimal(decimal).into_iter().for_each(|problem| self.add(problem));
            }
            Schema::Duration(_) | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                self.add("this logical type has no JSON form here: use the type without it".to_owned());
            }
            _ => {}
        }
    }

    fn items(&mut self, step: &str, items: &Schema, depth: usize) {
        self.path.push(step.to_owned());
        if step == "[]" && takes_no_bytes(items) {
            self.add(
                "items of no bytes: a few bytes of data would become any number of them; use another type".to_owned(),
            );
        }
        self.visit(items, depth + 1);
        self.path.pop();
    }

    /// A union's default must fit its first branch: older readers try no other.
    fn check_default(&mut self, schema: &Schema, default: &serde_json::Value) {
        let (tried, which) = match schema {
            Schema::Union(union) => (union.variants().first().unwrap_or(schema), "the first type of its union: "),
            other => (other, "its type: "),
        };
        if let Err(mismatch) = avro_from_default(tried, default) {
            self.add(format!("the default {default} does not fit {which}{mismatch}"));
        }
    }

    fn add(&mut self, problem: String) {
        let mismatch = Mismatch::new(problem);
        self.found.push(self.path.iter().rev().fold(mismatch, |mismatch, step| mismatch.inside(step)));
    }
}

fn problem_of_decimal(decimal: &DecimalSchema) -> Option<String> {
    let DecimalType { precision, .. } = decimal.into();
    if precision > DecimalType::MAX_DIGITS {
        return Some(format!("a decimal of {precision} digits; the most is {}", DecimalType::MAX_DIGITS));
    }
    let InnerDecimalSchema::Fixed(fixed) = &decimal.inner else { return None };
    if fixed.size > DecimalType::MAX_BYTES {
        return Some(format!("a decimal of {} bytes; the most is {}", fixed.size, DecimalType::MAX_BYTES));
    }
    let most = 10_i128.pow(precision as u32) - 1;
    let holds = (most >> (8 * fixed.size as u32).saturating_sub(1)) == 0;
    (!holds).then(|| format!("{} bytes do not hold a decimal of {precision} digits", fixed.size))
}

/// Whether every value of the type is encoded as nothing.
fn takes_no_bytes(schema: &Schema) -> bool {
    match schema {
        Schema::Null => true,
        Schema::Fixed(fixed) => fixed.size == 0,
        Schema::Record(record) => record.fields.iter().all(|field| takes_no_bytes(&field.schema)),
        _ => false,
    }
}
