//! The declared domain, given / when / then.

mod cases;
mod decisions;
mod expected;
mod expressions;
mod form;
mod generated;
mod limits;
mod logical;
mod patterns;

use millrace_schemas::{LogDefinition, Received, RecordSchema, Topic};
use serde_json::json;

use super::{DeclaredCommand, DeclaredDomain, DeclaredEvent, DeclaredState, RulesError};
use crate::{Domain, Rejection};

const PLACE: &str = r#"{"type": "record", "name": "PlaceOrder", "fields": [
    {"name": "order_id", "type": "string"},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["web", "shop"]}, "default": "web"},
    {"name": "labels", "type": {"type": "map", "values": "string"}, "default": {}},
    {"name": "either", "type": ["string", "long"], "default": ""},
    {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
        {"name": "sku", "type": "string"}, {"name": "quantity", "type": "long"}, {"name": "price_minor", "type": "long"}]}},
        "default": []}]}"#;
const PLACED: &str = r#"{"type": "record", "name": "OrderPlaced", "fields": [
    {"name": "order_id", "type": "string"},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["web", "shop"]}, "default": "web"},
    {"name": "labels", "type": {"type": "map", "values": "string"}, "default": {}},
    {"name": "total_minor", "type": "long", "default": 0}]}"#;

fn definition() -> LogDefinition {
    LogDefinition::parse("orders", &[PLACE], &[PLACED]).unwrap()
}

fn parse(rules: &str) -> Result<DeclaredDomain, RulesError> {
    sound(definition(), "order", rules)
}

/// Rules that pass all checks, for streams of one type.
fn sound(definition: LogDefinition, stream_type: &str, rules: &str) -> Result<DeclaredDomain, RulesError> {
    let definition = definition.with_stream_types(vec![stream_type.to_owned()]);
    let domain = DeclaredDomain::load(definition, "domain.toml", rules)?;
    domain.check_generated("domain.toml", rules).map(|_| domain)
}

/// Rules with one condition, which rejects as `wrong`.
fn rules_with(when: &str) -> String {
    format!(
        r#"
[state.order]
OrderPlaced = {{ status = "'placed'", total = "event.total_minor" }}

[commands.PlaceOrder]
stream = "'order-' + command.order_id"
reject = [{{ when = "{when}", code = "wrong", message = "It is {{command.order_id}}." }}]
emit = [{{ event = "OrderPlaced", copy = "command" }}]
"#
    )
}

/// The problems of rules with that condition.
fn refused(when: &str) -> String {
    parse(&rules_with(when)).unwrap_err().to_string()
}

fn command(domain: &DeclaredDomain, data: serde_json::Value) -> DeclaredCommand {
    let schema = domain.definition().record(Topic::Commands, "PlaceOrder").unwrap().unregistered();
    domain.read_command(&Received::from_json(schema, &data).unwrap()).unwrap().unwrap()
}

fn decide(domain: &DeclaredDomain, data: serde_json::Value) -> Result<Vec<(usize, DeclaredEvent)>, Rejection> {
    let command = command(domain, data);
    let streams = domain.streams(&command)?;
    let states = vec![DeclaredState::default(); streams.len()];
    domain.decide(&command, &states.iter().collect::<Vec<_>>())
}

/// What a condition comes to for that command: `true`, `false`, or a rejection's code.
fn comes_to(when: &str, data: serde_json::Value) -> String {
    match decide(&parse(&rules_with(when)).unwrap_or_else(|error| panic!("{error}")), data) {
        Ok(_) => "false".to_owned(),
        Err(rejection) if rejection.code == "wrong" => "true".to_owned(),
        Err(rejection) => rejection.code.into_owned(),
    }
}
