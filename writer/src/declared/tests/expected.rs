//! What rules expect of the version of a stream.

use super::*;

#[test]
fn a_stream_that_is_expected_otherwise_rejects_the_command() {
    let rules = rules_with("false").replace("reject", "expect = 'no-stream'\nreject");
    let domain = parse(&rules).unwrap();
    let mut state = DeclaredState::default();
    domain.evolve(&mut state, &decide(&domain, json!({"order_id": "7"})).unwrap()[0].1);
    let refused = domain.decide(&command(&domain, json!({"order_id": "7"})), &[&state]).unwrap_err();
    assert_eq!((&*refused.code, &*refused.message), ("stream_exists", "Stream order-7 exists already."));
    let domain = parse(&rules.replace("no-stream", "stream-exists")).unwrap();
    assert_eq!(decide(&domain, json!({"order_id": "7"})).unwrap_err().code, "stream_missing");
}

#[test]
fn an_expectation_of_a_stream_that_does_not_exist_is_refused() {
    let rules = rules_with("false").replace("reject", "expect = { other = 'no-stream' }\nreject");
    assert!(parse(&rules).unwrap_err().to_string().contains("expect.other: the command has no stream of that name"));
    let rules = rules_with("false").replace("reject", "expect = 'new'\nreject");
    assert!(
        parse(&rules)
            .unwrap_err()
            .to_string()
            .contains("is not \"no-stream\", \"stream-exists\", or a version such as")
    );
}

const CHANGE: &str = r#"{"type": "record", "name": "PlaceOrder", "fields": [
    {"name": "order_id", "type": "string"}, {"name": "to", "type": "string", "default": "x"},
    {"name": "expected_version", "type": ["null", "long"], "default": null},
    {"name": "version", "type": "int", "default": 1},
    {"name": "items", "default": [], "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
        {"name": "sku", "type": "string"}, {"name": "version", "type": ["null", "int"]}]}}}]}"#;

fn changing(rules: &str) -> Result<DeclaredDomain, RulesError> {
    let definition = LogDefinition::parse("orders", &[CHANGE], &[PLACED]).unwrap();
    sound(definition, "order", rules)
}

/// What the command comes to on streams of these versions.
fn on(domain: &DeclaredDomain, versions: &[i64], data: serde_json::Value) -> Result<usize, (String, String)> {
    let command = command(domain, data);
    let streams = domain.streams(&command).unwrap();
    assert_eq!(streams.len(), versions.len());
    let schema = domain.definition().record(Topic::Events, "OrderPlaced").unwrap().unregistered();
    let datum = schema.encode_json(&json!({"order_id": "7"})).unwrap();
    let at_version = |version: &i64| {
        let mut state = DeclaredState::default();
        (0..*version).for_each(|_| domain.evolve(&mut state, &domain.read_event(schema, &datum).unwrap().unwrap()));
        state
    };
    let states: Vec<DeclaredState> = versions.iter().map(at_version).collect();
    let decided = domain.decide(&command, &states.iter().collect::<Vec<_>>());
    decided.map(|events| events.len()).map_err(|rejection| (rejection.code.into_owned(), rejection.message))
}

fn conflict(message: &str) -> Result<usize, (String, String)> {
    Err(("version_conflict".to_owned(), message.to_owned()))
}

#[test]
fn a_command_says_the_version_that_it_expects() {
    let rules = |expect: &str| rules_with("false").replace("reject", &format!("expect = '{expect}'\nreject"));
    let domain = changing(&rules("command.expected_version")).unwrap();
    let expecting = |version: serde_json::Value| json!({"order_id": "7", "expected_version": version});
    assert_eq!(on(&domain, &[3], expecting(json!(null))), Ok(1));
    assert_eq!(on(&domain, &[3], expecting(json!(3))), Ok(1));
    assert_eq!(on(&domain, &[0], expecting(json!(0))), Ok(1));
    let late = "Stream order-7 is at version 3; the command expected 2.";
    assert_eq!(on(&domain, &[3], expecting(json!(2))), conflict(late));
    let exists = "Stream order-7 is at version 3; the command expected no-stream.";
    assert_eq!(on(&domain, &[3], expecting(json!(0))), conflict(exists));
    assert_eq!(on(&domain, &[3], expecting(json!(-1))).unwrap_err().0, "invalid_expected_version");
    let domain = changing(&rules("command.version")).unwrap();
    assert_eq!(on(&domain, &[1], json!({"order_id": "7"})), Ok(1));
    assert!(on(&domain, &[0], json!({"order_id": "7"})).is_err());
    for (expect, expected) in [
        ("command.order_id", "the expression is a text, but an int or null is needed"),
        ("command.versions", "has no field versions"),
        ("state.total", "there is no `state` here"),
    ] {
        let refused = changing(&rules(expect)).unwrap_err().to_string();
        assert!(refused.contains("PlaceOrder.expect: ") && refused.contains(expected), "{refused}");
    }
}

#[test]
fn each_of_several_streams_is_expected_at_its_own_version() {
    let domain = changing(
        r#"
[commands.PlaceOrder]
streams = { from = "'order-' + command.order_id", to = "'order-' + command.to" }
expect = { from = "command.expected_version", to = "command.version" }
emit = [{ event = "OrderPlaced", stream = "to", data = { order_id = "command.to" } }]
"#,
    )
    .unwrap();
    let data = |version: i64| json!({"order_id": "7", "to": "8", "expected_version": version, "version": 1});
    assert_eq!(on(&domain, &[2, 1], data(2)), Ok(1));
    assert_eq!(on(&domain, &[2, 1], data(1)), conflict("Stream order-7 is at version 2; the command expected 1."));
    assert_eq!(on(&domain, &[2, 4], data(2)), conflict("Stream order-8 is at version 4; the command expected 1."));
    // two names of one stream
    let same = json!({"order_id": "7", "to": "7", "expected_version": 2, "version": 1});
    assert_eq!(on(&domain, &[2], same), conflict("Stream order-7 is at version 2; the command expected 1."));
}

#[test]
fn with_each_every_item_says_the_version_of_its_stream() {
    let domain = changing(
        r#"
[commands.PlaceOrder]
each = "command.items"
stream = "'order-' + item.sku"
expect = "item.version"
emit = [{ event = "OrderPlaced", data = { order_id = "items[0].sku" } }]
"#,
    )
    .unwrap();
    let item = |sku: &str, version: Option<i32>| json!({"sku": sku, "version": version});
    let data = |items: Vec<serde_json::Value>| json!({"order_id": "7", "items": items});
    let items = vec![item("a", Some(1)), item("b", None), item("a", None)];
    assert_eq!(on(&domain, &[1, 5], data(items)), Ok(2));
    let items = vec![item("a", Some(1)), item("b", Some(2)), item("a", Some(2))];
    assert_eq!(on(&domain, &[1, 2], data(items)), conflict("Stream order-a is at version 1; the command expected 2."));
}

#[test]
fn a_case_says_versions_by_the_events_that_are_given() {
    let rules = rules_with("false").replace("reject", "expect = 'command.expected_version'\nreject");
    let domain = changing(&rules).unwrap();
    let cases = r#"
[[case]]
name = "a version that has passed"
given = [
    { stream = "order-7", event = "OrderPlaced", data = { order_id = "7" } },
    { stream = "order-8", event = "OrderPlaced", data = { order_id = "8" } },
    { stream = "order-7", event = "OrderPlaced", data = { order_id = "7" } },
]
when = { command = "PlaceOrder", data = { order_id = "7", expected_version = 1 } }
rejected = { code = "version_conflict", message = "Stream order-7 is at version 2; the command expected 1." }
"#;
    assert_eq!(domain.check_cases("cases/a.toml", cases), Ok(1));
}
