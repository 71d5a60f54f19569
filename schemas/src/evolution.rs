//! What keeps two versions of a record's schema from standing in one log: the rule FULL_TRANSITIVE for one pair.
//!
//! A reader with either version must be able to read data of the other. apache-avro 0.22 and the registries have the
//! same check, but neither names the field and the remedy, and both let pass what changes a value's meaning: text
//! became bytes, milliseconds became microseconds, a field that is found only by its alias (the typed decoders here
//! know no aliases). This check refuses those too; a registry has its own say when the schema is registered.

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, InnerDecimalSchema, RecordSchema, UnionSchema, UuidSchema};

use crate::definition::parse_record;
use crate::{Mismatch, SchemaError};

/// What to do about an incompatible change.
pub const WAYS_TO_EVOLVE: &str = "give the field a default, or make a record with a new name (an upcaster, which turns old data \
                        into new ones, is not supported yet)";

/// What makes the version `new` of a record incompatible with its version `old`: places in the record, none when they
/// are compatible.
///
/// # Errors
/// When a text is not a record's schema.
pub fn incompatibilities(old: &str, new: &str) -> Result<Vec<Mismatch>, SchemaError> {
    Ok(between(&parse_record(old)?, &parse_record(new)?))
}

/// The same for parsed schemas.
pub(crate) fn between(old: &Schema, new: &Schema) -> Vec<Mismatch> {
    match (old, new) {
        (Schema::Record(old), Schema::Record(new)) if old.name == new.name => records(old, new),
        (Schema::Enum(old), Schema::Enum(new)) if old.name == new.name => enums(old, new),
        (Schema::Union(old), Schema::Union(new)) => unions(old, new),
        (Schema::Array(old), Schema::Array(new)) => inside("[]", between(&old.items, &new.items)),
        (Schema::Map(old), Schema::Map(new)) => inside("{}", between(&old.types, &new.types)),
        _ if shown(old) == shown(new) => vec![],
        _ => vec![Mismatch::new(format!("the type was {} and is {} now", shown(old), shown(new)))],
    }
}

fn inside(step: &str, found: Vec<Mismatch>) -> Vec<Mismatch> {
    found.into_iter().map(|mismatch| mismatch.inside(step)).collect()
}

fn records(old: &RecordSchema, new: &RecordSchema) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for field in &new.fields {
        match old.fields.iter().find(|before| before.name == field.name) {
            Some(before) => found.extend(inside(&field.name, between(&before.schema, &field.schema))),
            None if field.default.is_none() => {
                let problem = "the field is new and has no default, so what was written before could not be read";
                found.push(Mismatch::new(problem).inside(&field.name));
            }
            None => {}
        }
    }
    let removed = old.fields.iter().filter(|field| !new.fields.iter().any(|after| after.name == field.name));
    for field in removed.filter(|field| field.default.is_none()) {
        let problem = "the field was removed and had no default, so readers with the earlier version need it";
        found.push(Mismatch::new(problem).inside(&field.name));
    }
    found
}

fn enums(old: &EnumSchema, new: &EnumSchema) -> Vec<Mismatch> {
    let lacks = |symbols: &EnumSchema, other: &EnumSchema| -> Vec<String> {
        other.symbols.iter().filter(|symbol| !symbols.symbols.contains(symbol)).cloned().collect()
    };
    let (added, removed) = (lacks(old, new), lacks(new, old));
    let mut found = Vec::new();
    if !added.is_empty() && old.default.is_none() {
        let problem = format!("new symbols ({}), and the earlier version has no default for them", added.join(", "));
        found.push(Mismatch::new(problem));
    }
    if !removed.is_empty() && new.default.is_none() {
        let problem = format!("removed symbols ({}), and this version has no default for them", removed.join(", "));
        found.push(Mismatch::new(problem));
    }
    found
}

/// A union has each type once, so types that look the same are the same branch.
fn unions(old: &UnionSchema, new: &UnionSchema) -> Vec<Mismatch> {
    let branch = |union: &UnionSchema, like: &Schema| {
        union.variants().iter().find(|variant| shown(variant) == shown(like)).cloned()
    };
    let mut found = Vec::new();
    for variant in old.variants() {
        match branch(new, variant) {
            Some(after) => found.extend(between(variant, &after)),
            None => found.push(Mismatch::new(format!("{} was removed from the union", shown(variant)))),
        }
    }
    for variant in new.variants().iter().filter(|variant| branch(old, variant).is_none()) {
        let problem =
            format!("{} is new in the union, and readers with the earlier version don't know it", shown(variant));
        found.push(Mismatch::new(problem));
    }
    found
}

/// A type in words. Two types that hold no others are the same if these are.
fn shown(schema: &Schema) -> String {
    match schema {
        Schema::Record(record) => format!("the record {}", record.name),
        Schema::Enum(symbols) => format!("the enum {}", symbols.name),
        Schema::Fixed(fixed) => format!("fixed {} of {} bytes", fixed.name, fixed.size),
        Schema::Duration(fixed) => format!("a duration, fixed {}", fixed.name),
        Schema::Array(_) => "an array".to_owned(),
        Schema::Map(_) => "a map".to_owned(),
        Schema::Union(union) => {
            format!("a union of {}", union.variants().iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Schema::Decimal(decimal) => {
            let inner = match &decimal.inner {
                InnerDecimalSchema::Bytes => "bytes".to_owned(),
                InnerDecimalSchema::Fixed(fixed) => format!("fixed {} of {} bytes", fixed.name, fixed.size),
            };
            format!("a decimal of {} digits, {} of them after the point, in {inner}", decimal.precision, decimal.scale)
        }
        Schema::Uuid(UuidSchema::String) => "a uuid in a string".to_owned(),
        Schema::Uuid(UuidSchema::Bytes) => "a uuid in bytes".to_owned(),
        Schema::Uuid(UuidSchema::Fixed(fixed)) => format!("a uuid in fixed {}", fixed.name),
        Schema::Null => "null".to_owned(),
        Schema::Boolean => "a boolean".to_owned(),
        Schema::Int => "an int".to_owned(),
        Schema::Long => "a long".to_owned(),
        Schema::Float => "a float".to_owned(),
        Schema::Double => "a double".to_owned(),
        Schema::Bytes => "bytes".to_owned(),
        Schema::String => "a string".to_owned(),
        logical => {
            let json = serde_json::to_value(logical).unwrap_or_default();
            json["logicalType"].as_str().map_or_else(|| format!("{logical:?}"), |name| format!("a {name}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
    use serde_json::{Value as Json, json};

    use super::*;

    /// A record with these fields.
    fn record(fields: Json) -> String {
        json!({"type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": fields}).to_string()
    }

    fn found(old: Json, new: Json) -> Vec<String> {
        let found = incompatibilities(&record(old), &record(new)).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    /// Whether apache-avro finds that each reads the other, whatever the values.
    fn avro_agrees(old: Json, new: Json) -> bool {
        let schemas = [old, new].map(|fields| Schema::parse_str(&record(fields)).unwrap());
        SchemaCompatibility::mutual_read(&schemas[0], &schemas[1]) == Ok(Compatibility::Full)
    }

    #[test]
    fn fields_with_defaults_come_and_go() {
        let plain = json!([{"name": "id", "type": "string"}]);
        let more =
            json!([{"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"], "default": null}]);
        assert_eq!(found(plain.clone(), more.clone()), [""; 0]);
        assert_eq!(found(more.clone(), plain.clone()), [""; 0]);
        assert!(avro_agrees(plain, more));
    }

    #[test]
    fn a_change_that_one_side_could_not_read_is_named_with_its_place() {
        let id = json!({"name": "id", "type": "string"});
        let total = json!({"name": "total", "type": "long"});
        let items = |of: Json| {
            let item = json!({"type": "record", "name": "Item", "fields": of});
            json!([{"name": "items", "type": {"type": "array", "items": item}}])
        };
        let status =
            |symbols: Json| json!([{"name": "s", "type": {"type": "enum", "name": "Status", "symbols": symbols}}]);
        for (old, new, expected) in [
            (json!([id]), json!([id, total]), "total: the field is new and has no default"),
            (json!([id, total]), json!([id]), "total: the field was removed and had no default"),
            (json!([id, total]), json!([id, {"name": "sum", "type": "long"}]), "sum: the field is new"),
            (
                json!([total]),
                json!([{"name": "total", "type": "string"}]),
                "total: the type was a long and is a string now",
            ),
            (json!([{"name": "n", "type": "int"}]), json!([{"name": "n", "type": "long"}]), "n: the type was an int"),
            (
                json!([id]),
                json!([{"name": "id", "type": ["null", "string"]}]),
                "id: the type was a string and is a union",
            ),
            (items(json!([id])), items(json!([id, total])), "items[].total: the field is new"),
            (status(json!(["A"])), status(json!(["A", "B"])), "s: new symbols (B)"),
            (status(json!(["A", "B"])), status(json!(["A"])), "s: removed symbols (B)"),
            (
                json!([{"name": "u", "type": ["null", "long"]}]),
                json!([{"name": "u", "type": ["null", "long", "string"]}]),
                "u: a string is new in the union",
            ),
        ] {
            let said = found(old.clone(), new.clone()).join("; ");
            assert!(said.contains(expected), "{said}");
            assert!(!avro_agrees(old, new), "{said}");
        }
    }

    #[test]
    fn a_change_of_meaning_that_avro_lets_pass_is_refused() {
        let field = |of: Json| json!([{"name": "x", "type": of}]);
        let millis = field(json!({"type": "long", "logicalType": "timestamp-millis"}));
        let micros = field(json!({"type": "long", "logicalType": "timestamp-micros"}));
        let renamed = json!([{"name": "y", "type": "string", "aliases": ["x"], "default": ""}]);
        for (old, new) in
            [(field(json!("string")), field(json!("bytes"))), (millis, micros), (field(json!("string")), renamed)]
        {
            assert_ne!(found(old.clone(), new.clone()), [""; 0], "{old} {new}");
        }
    }

    #[test]
    fn an_enum_with_a_default_may_grow() {
        let status = |symbols: Json| json!([{"name": "s", "type": {"type": "enum", "name": "Status", "symbols": symbols, "default": "OTHER"}}]);
        assert_eq!(found(status(json!(["OTHER"])), status(json!(["OTHER", "A"]))), [""; 0]);
    }
}
