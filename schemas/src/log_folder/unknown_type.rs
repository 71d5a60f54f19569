//! The place of a type that a schema uses and nobody has defined: the parser names the type without its field.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::Mismatch;

const PRIMITIVE: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
const NAMED: [&str; 3] = ["record", "enum", "fixed"];

/// The first such type in the JSON of a record's schema, with its field and what to write; `None` when there is none.
pub(super) fn problem(schema: &Json) -> Option<Mismatch> {
    let mut names = BTreeSet::new();
    collect(schema, &mut names);
    find(schema, &names)
}

/// The names of the types that the schema defines.
fn collect<'s>(schema: &'s Json, names: &mut BTreeSet<&'s str>) {
    match schema {
        Json::Object(object) => {
            let is_named = object.get("type").and_then(Json::as_str).is_some_and(|kind| NAMED.contains(&kind));
            names.extend(object.get("name").and_then(Json::as_str).filter(|_| is_named).map(last));
            object.values().for_each(|inner| collect(inner, names));
        }
        Json::Array(items) => items.iter().for_each(|inner| collect(inner, names)),
        _ => {}
    }
}

fn find(schema: &Json, names: &BTreeSet<&str>) -> Option<Mismatch> {
    match schema {
        Json::String(name) if PRIMITIVE.contains(&name.as_str()) || names.contains(last(name)) => None,
        Json::String(name) => Some(Mismatch::new(format!(
            "there is no type {name}: write one of {}, an object such as {{\"type\": \"array\", \"items\": \"string\"}}, \
             or the name of a type that stands further up",
            PRIMITIVE.join(", ")
        ))),
        Json::Array(variants) => variants.iter().find_map(|variant| find(variant, names)),
        Json::Object(object) => match object.get("type")?.as_str() {
            Some("record") => object.get("fields")?.as_array()?.iter().find_map(|field| {
                let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
                find(field.get("type")?, names).map(|problem| problem.inside(name))
            }),
            Some("array") => find(object.get("items")?, names).map(|problem| problem.inside("[]")),
            Some("map") => find(object.get("values")?, names).map(|problem| problem.inside("{}")),
            Some("enum" | "fixed") => None,
            _ => find(object.get("type")?, names),
        },
        _ => None,
    }
}

/// A name without its namespace.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
