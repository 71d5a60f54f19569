//! Decimals, uuids and times in rules.

use super::*;

/// The fields of a command and of an event that is copied from it.
const FIELDS: &str = r#"
    {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "token", "type": ["null", {"type": "fixed", "name": "Token", "size": 16, "logicalType": "uuid"}], "default": null},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
    {"name": "rate", "type": {"type": "fixed", "name": "Rate", "size": 8, "logicalType": "decimal", "precision": 12, "scale": 4}},
    {"name": "fee", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}, "default": "\u0001\u0000"},
    {"name": "opens", "type": {"type": "int", "logicalType": "time-millis"}, "default": 0},
    {"name": "local", "type": {"type": "long", "logicalType": "local-timestamp-micros"}, "default": 0},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-nanos"}, "default": 0}"#;

fn parse(rules: &str) -> Result<DeclaredDomain, RulesError> {
    let command = format!(r#"{{"type": "record", "name": "List", "fields": [{FIELDS}]}}"#);
    let event = format!(
        r#"{{"type": "record", "name": "Listed", "fields": [{FIELDS},
        {{"name": "shown", "type": "string", "default": ""}},
        {{"name": "wide", "type": {{"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}}, "default": "\u0000"}}]}}"#
    );
    let definition = LogDefinition::parse("shop", &[&command], &[&event]).unwrap();
    sound(definition, "item", rules)
}

fn rules(when: &str, data: &str) -> String {
    format!(
        r#"
[state.item]
Listed = {{ price = "event.price", id = "event.id", rate = "event.rate" }}
[commands.List]
stream = "'item-' + string(command.id)"
reject = [{{ when = "{when}", code = "wrong", message = "{{command.id}} costs {{command.price}}" }}]
emit = [{{ event = "Listed", copy = "command", data = {{ {data} }} }}]
"#
    )
}

fn decide(domain: &DeclaredDomain, state: &DeclaredState) -> Result<DeclaredEvent, Rejection> {
    let data = json!({
        "id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "token": "ffffffff-0000-4000-8000-000000000000",
        "price": "12.5", "rate": "-0.0001", "opens": "09:30:00", "local": "1970-01-01T00:00:01", "at": 7,
    });
    let schema = domain.definition().record(Topic::Commands, "List").unwrap().unregistered();
    let command = domain.read_command(&Received::from_json(schema, &data).unwrap()).unwrap().unwrap();
    assert_eq!(domain.streams(&command)?[0].as_str(), "item-0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30");
    Ok(domain.decide(&command, &[state])?.remove(0).1)
}

#[test]
fn logical_types_are_copied_to_an_event_and_kept_in_a_state() {
    let domain = parse(&rules("has(state.price) && state.price == command.price", "shown = \"string(command.price)\""));
    let domain = domain.unwrap();
    let event = decide(&domain, &DeclaredState::default()).unwrap();
    let schema = domain.definition().record(Topic::Events, "Listed").unwrap().unregistered();
    let datum = schema.encode(&event).unwrap();
    schema.check(&datum).unwrap();
    let expected = json!({
        "id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "token": "ffffffff-0000-4000-8000-000000000000",
        "price": "12.50", "rate": "-0.0001", "fee": "2.56", "opens": 34_200_000, "local": 1_000_000, "at": 7,
        "shown": "12.50", "wide": "0.00",
    });
    assert_eq!(schema.json(&datum).unwrap(), expected);
    let mut state = DeclaredState::default();
    domain.evolve(&mut state, &domain.read_event(schema, &datum).unwrap().unwrap());
    let refused = decide(&domain, &state).unwrap_err();
    assert_eq!(refused.message, "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30 costs 12.50");
}

#[test]
fn decimals_and_uuids_are_compared_for_equality() {
    for (when, expected) in [
        ("command.price == '12.50' && '12.5' == command.price && command.price != '12.51'", true),
        ("command.price == command.fee", false),
        ("command.id == '0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30' && command.id != command.token", true),
        ("command.token == null", false),
        ("string(command.rate).startsWith('-')", true),
        ("command.opens < 43200000 && command.at == 7", true),
    ] {
        let domain = parse(&rules(when, "")).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(decide(&domain, &DeclaredState::default()).is_err(), expected, "{when}");
    }
}

#[test]
fn a_literal_makes_a_decimal_or_uuid_of_an_event() {
    let data = "wide = \"command.price == '0' ? '1' : '2.5'\", id = \"'00000000-0000-4000-8000-000000000000'\"";
    let domain = parse(&rules("false", data)).unwrap();
    let schema = domain.definition().record(Topic::Events, "Listed").unwrap().unregistered();
    let event = decide(&domain, &DeclaredState::default()).unwrap();
    let shown = schema.json(&schema.encode(&event).unwrap()).unwrap();
    assert_eq!((&shown["wide"], &shown["id"]), (&json!("2.50"), &json!("00000000-0000-4000-8000-000000000000")));
}

#[test]
fn whatever_else_rules_would_do_with_a_decimal_or_uuid_is_refused() {
    for (when, expected) in [
        (
            "command.price + command.fee == command.price",
            "`+` can't take a decimal(10, 2) and a decimal(6, 2): decimals",
        ),
        (
            "command.price < command.fee",
            "a decimal(10, 2) can't be compared with a decimal(6, 2): decimals and uuids are",
        ),
        ("command.price == command.rate", "a decimal(10, 2) can't be compared with a decimal(12, 4)"),
        ("command.price == 12", "a decimal(10, 2) can't be compared with an int: decimals and uuids are carried"),
        ("command.price == '12.505'", "\"12.505\" has more digits after the point than a decimal(10, 2)"),
        ("command.id == 'x'", "\"x\" is not a uuid"),
        ("'a' + command.id == ''", "`+` can't take a text and a uuid: string(…) makes a text of it"),
        ("-command.price == command.price", "`-` can't stand before a decimal(10, 2)"),
        (
            "[command.price].sum() > 0",
            "what stands before .sum() is a list of decimal(10, 2), but a list of int is needed: decimals and uuids are carried",
        ),
        ("command.id.contains('a')", "what stands before the function is a uuid, but a text is needed"),
    ] {
        let refused = parse(&rules(when, "")).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
    for (data, expected) in [
        ("wide = \"command.price\"", "data.wide: the field wide is a decimal(10, 2), but a decimal(20, 2) is needed"),
        ("price = \"command.id\"", "data.price: the field price is a uuid, but a decimal(10, 2) is needed"),
        ("id = \"string(command.id)\"", "data.id: the field id is a text, but a uuid is needed"),
        ("price = \"'x'\"", "data.price: \"x\" is not a decimal"),
    ] {
        let refused = parse(&rules("false", data)).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_decimal_of_an_event_of_an_older_version_is_folded() {
    let domain = parse(&rules("has(state.price) && state.price == '12.50' && state.rate == '-0.0001'", "")).unwrap();
    let older = format!(r#"{{"type": "record", "name": "Listed", "fields": [{FIELDS}]}}"#);
    let older = RecordSchema::parse(Topic::Events, 9, &older).unwrap();
    let listed = json!({"id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "price": "12.5", "rate": "-0.0001"});
    let datum = older.encode_json(&listed).unwrap();
    let mut state = DeclaredState::default();
    domain.evolve(&mut state, &domain.read_event(older, &datum).unwrap().unwrap());
    assert_eq!(decide(&domain, &state).unwrap_err().code, "wrong");
}
