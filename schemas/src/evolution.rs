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

/// A change that a reader with one of two versions could not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{mismatch}")]
pub struct Incompatibility {
    /// The place in the record, and what the change is.
    pub mismatch: Mismatch,
    /// What the author of the newer version can do instead.
    pub remedy: &'static str,
}

/// The versions before must be readable as they are, so a default in a later version does not help them: hence the
/// field or enum beside the old one.
const NEW_FIELD: &str = "give the field a default";
const REMOVED_FIELD: &str = "put the field back, or make a record with a new name";
const OTHER_TYPE: &str =
    "undo this, and add another field, of the new type and with a default; or make a record with a new name";
const OTHER_NAME: &str = "write the name and the namespace as they were, or make a record with a new name";
const NEW_SYMBOL: &str = "undo this, and add another field, with a default and of a new enum that has a default itself; \
                          or make a record with a new name";
const REMOVED_SYMBOL: &str =
    "put the symbols back, or give the enum a default, which readers then take in the place of these symbols";

/// What makes the version `new` of a record incompatible with its version `old`: places in the record, none when they
/// are compatible.
///
/// # Errors
/// When a text is not a record's schema.
pub fn incompatibilities(old: &str, new: &str) -> Result<Vec<Incompatibility>, SchemaError> {
    let (old, new) = (parse_record(old)?, parse_record(new)?);
    match (old.name(), new.name()) {
        (Some(before), Some(after)) if before != after => {
            let problem = format!("the record was named {before} with its namespace, and is {after} now");
            Ok(vec![Incompatibility::new(problem, OTHER_NAME)])
        }
        _ => Ok(between(&old, &new)),
    }
}

/// The same for parsed schemas.
fn between(old: &Schema, new: &Schema) -> Vec<Incompatibility> {
    match (old, new) {
        (Schema::Record(old), Schema::Record(new)) if old.name == new.name => records(old, new),
        (Schema::Enum(old), Schema::Enum(new)) if old.name == new.name => enums(old, new),
        (Schema::Union(old), Schema::Union(new)) => unions(old, new),
        (Schema::Array(old), Schema::Array(new)) => inside("[]", between(&old.items, &new.items)),
        (Schema::Map(old), Schema::Map(new)) => inside("{}", between(&old.types, &new.types)),
        _ if shown(old) == shown(new) => vec![],
        _ => vec![Incompatibility::new(format!("the type was {} and is {} now", shown(old), shown(new)), OTHER_TYPE)],
    }
}

impl Incompatibility {
    fn new(problem: impl Into<String>, remedy: &'static str) -> Self {
        Self { mismatch: Mismatch::new(problem), remedy }
    }

    fn inside(self, step: &str) -> Self {
        Self { mismatch: self.mismatch.inside(step), ..self }
    }
}

fn inside(step: &str, all: Vec<Incompatibility>) -> Vec<Incompatibility> {
    all.into_iter().map(|one| one.inside(step)).collect()
}

fn records(old: &RecordSchema, new: &RecordSchema) -> Vec<Incompatibility> {
    let mut all = Vec::new();
    for field in &new.fields {
        match old.fields.iter().find(|before| before.name == field.name) {
            Some(before) => all.extend(inside(&field.name, between(&before.schema, &field.schema))),
            None if field.default.is_none() => {
                let problem = "the field is new and has no default, so what was written before could not be read";
                all.push(Incompatibility::new(problem, NEW_FIELD).inside(&field.name));
            }
            None => {}
        }
    }
    let removed = old.fields.iter().filter(|field| !new.fields.iter().any(|after| after.name == field.name));
    for field in removed.filter(|field| field.default.is_none()) {
        let problem = "the field was removed and had no default, so readers with the earlier version need it";
        all.push(Incompatibility::new(problem, REMOVED_FIELD).inside(&field.name));
    }
    all
}

fn enums(old: &EnumSchema, new: &EnumSchema) -> Vec<Incompatibility> {
    let lacks = |symbols: &EnumSchema, other: &EnumSchema| -> Vec<String> {
        other.symbols.iter().filter(|symbol| !symbols.symbols.contains(symbol)).cloned().collect()
    };
    let (added, removed) = (lacks(old, new), lacks(new, old));
    let mut all = Vec::new();
    if !added.is_empty() && old.default.is_none() {
        let problem = format!("new symbols ({}), and the earlier version has no default for them", added.join(", "));
        all.push(Incompatibility::new(problem, NEW_SYMBOL));
    }
    if !removed.is_empty() && new.default.is_none() {
        let problem = format!("removed symbols ({}), and this version has no default for them", removed.join(", "));
        all.push(Incompatibility::new(problem, REMOVED_SYMBOL));
    }
    all
}

/// A union has each type once, so types that look the same are the same branch.
fn unions(old: &UnionSchema, new: &UnionSchema) -> Vec<Incompatibility> {
    let branch = |union: &UnionSchema, like: &Schema| {
        union.variants().iter().find(|variant| shown(variant) == shown(like)).cloned()
    };
    let mut all = Vec::new();
    for variant in old.variants() {
        match branch(new, variant) {
            Some(after) => all.extend(between(variant, &after)),
            None => {
                all.push(Incompatibility::new(format!("{} was removed from the union", shown(variant)), OTHER_TYPE))
            }
        }
    }
    for variant in new.variants().iter().filter(|variant| branch(old, variant).is_none()) {
        let problem =
            format!("{} is new in the union, and readers with the earlier version don't know it", shown(variant));
        all.push(Incompatibility::new(problem, OTHER_TYPE));
    }
    all
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
        let all = incompatibilities(&record(old), &record(new)).unwrap();
        all.iter().map(ToString::to_string).collect()
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
    fn a_record_of_another_namespace_is_told_to_keep_its_own() {
        let text = record(json!([{"name": "id", "type": "string"}]));
        let found = incompatibilities(&text, &text.replace("\"shop\"", "\"store\"")).unwrap();
        assert_eq!(found.len(), 1);
        let said = "the record was named shop.OrderPlaced with its namespace, and is store.OrderPlaced now";
        assert_eq!((found[0].to_string().as_str(), found[0].remedy), (said, OTHER_NAME));
    }

    #[test]
    fn each_remedy_makes_the_change_compatible_with_every_version_before() {
        let of_enum = |name: &str, symbols: Json| json!({"type": "enum", "name": name, "symbols": symbols});
        let with_default = |mut of: Json, default: &str| {
            of["default"] = json!(default);
            of
        };
        let field = |name: &str, of: Json| json!({"name": name, "type": of});
        let optional = |name: &str, of: Json, default: Json| json!({"name": name, "type": of, "default": default});
        let (status, grown) = (of_enum("Status", json!(["A", "B"])), of_enum("Status", json!(["A", "B", "C"])));
        let first = json!([field("n", json!("int")), field("s", status.clone())]);
        let and = |more: Json| [first.as_array().unwrap().clone(), vec![more]].concat().into();
        for (refused, remedy, mended) in [
            (and(field("m", json!("long"))), NEW_FIELD, and(optional("m", json!("long"), json!(0)))),
            (
                json!([field("n", json!("long")), field("s", status.clone())]),
                OTHER_TYPE,
                and(optional("n64", json!("long"), json!(0))),
            ),
            (
                json!([field("n", json!("int")), field("s", grown)]),
                NEW_SYMBOL,
                and(optional("s2", with_default(of_enum("Status2", json!(["A", "C"])), "A"), json!("A"))),
            ),
            (
                json!([field("n", json!("int")), field("s", of_enum("Status", json!(["A"])))]),
                REMOVED_SYMBOL,
                json!([field("n", json!("int")), field("s", with_default(of_enum("Status", json!(["A"])), "A"))]),
            ),
            (json!([field("n", json!("int"))]), REMOVED_FIELD, first.clone()),
        ] {
            let refusals = incompatibilities(&record(first.clone()), &record(refused)).unwrap();
            assert!(refusals.len() == 1 && refusals[0].remedy == remedy, "{refusals:#?}");
            assert_eq!(found(first.clone(), mended), [""; 0], "{remedy}");
        }
        // a default that comes later does not help the first version
        let later = with_default(of_enum("Status", json!(["A", "B", "C"])), "A");
        assert_ne!(found(first, json!([field("n", json!("int")), field("s", later)])), [""; 0]);
    }

    #[test]
    fn an_enum_with_a_default_may_grow() {
        let status = |symbols: Json| json!([{"name": "s", "type": {"type": "enum", "name": "Status", "symbols": symbols, "default": "OTHER"}}]);
        assert_eq!(found(status(json!(["OTHER"])), status(json!(["OTHER", "A"]))), [""; 0]);
    }
}
