//! What commands come to.

use super::*;

#[test]
fn a_command_becomes_an_event_with_everything_that_is_carried() {
    let domain = parse(&rules_with("has(state.status)")).unwrap();
    let data = json!({"order_id": "7", "note": "n", "kind": "shop", "labels": {"b": "2", "a": "1"}});
    let events = decide(&domain, data.clone()).unwrap();
    let schema = domain.definition().record(Topic::Events, "OrderPlaced").unwrap().unregistered();
    let datum = schema.encode(&events[0].1).unwrap();
    assert!(schema.check(&datum).is_ok());
    assert_eq!(domain.event_name(&events[0].1), "OrderPlaced");
    let mut state = DeclaredState::default();
    domain.evolve(&mut state, &domain.read_event(schema, &datum).unwrap().unwrap());
    let again = domain.decide(&command(&domain, data), &[&state]).unwrap_err();
    assert_eq!((&*again.code, &*again.message), ("wrong", "It is 7."));
}

#[test]
fn an_event_of_an_older_version_is_folded_as_one_of_the_newest() {
    let domain = parse(&rules_with("has(state.total) && state.total == 0 && state.status == 'placed'")).unwrap();
    let older = r#"{"type": "record", "name": "OrderPlaced", "fields": [{"name": "order_id", "type": "string"}]}"#;
    let older = RecordSchema::parse(Topic::Events, 9, older).unwrap();
    let datum = older.encode_json(&json!({"order_id": "7"})).unwrap();
    let mut state = DeclaredState::default();
    domain.evolve(&mut state, &domain.read_event(older, &datum).unwrap().unwrap());
    let refused = domain.decide(&command(&domain, json!({"order_id": "7"})), &[&state]).unwrap_err();
    assert_eq!(refused.code, "wrong");
}

#[test]
fn what_only_data_shows_is_found_on_generated_data() {
    for (condition, expected) in [
        ("command.note.size() > 5", "command.note is null here: ask command.note != null first"),
        ("state.total > 5", "state.total is not set: ask has(state.total) first"),
        ("command.items[0].quantity > 5", "a list of 0 items has no item 0"),
        ("5 / command.items.size() > 5", "it divides by zero"),
    ] {
        let refused = refused(condition);
        assert!(refused.starts_with("domain.toml:7: commands.PlaceOrder.reject[0].when: "), "{refused}");
        assert!(refused.contains(expected) && refused.contains("PlaceOrder {\"order_id\""), "{refused}");
    }
    assert!(parse(&rules_with("has(state.total) && state.total > 5")).is_ok());
    assert!(parse(&rules_with("command.note != null && command.note.size() > 5")).is_ok());
}

#[test]
fn an_event_that_could_not_be_folded_is_not_accepted() {
    let rules = r#"
[state.order]
OrderPlaced = { sum = "has(state.sum) ? state.sum + event.total_minor : event.total_minor" }
[commands.PlaceOrder]
stream = "'order-' + command.order_id"
emit = [{ event = "OrderPlaced", data = { order_id = "command.order_id", total_minor = "9223372036854775807" } }]
"#;
    let domain = parse(rules).unwrap();
    let events = decide(&domain, json!({"order_id": "7"})).unwrap();
    let mut state = DeclaredState::default();
    domain.evolve(&mut state, &events[0].1);
    let refused = domain.decide(&command(&domain, json!({"order_id": "7"})), &[&state]).unwrap_err();
    assert_eq!(refused.code, "overflow");
    assert_eq!(
        refused.message,
        "The rule state.order.OrderPlaced.sum can't be evaluated: a number would not fit into 64 bits."
    );
    // such an event may be there all the same, under older rules: then the stream takes no more commands
    domain.evolve(&mut state, &events[0].1);
    let refused = domain.decide(&command(&domain, json!({"order_id": "7"})), &[&state]).unwrap_err();
    assert_eq!(refused.code, "rule_failed");
    assert!(refused.message.starts_with("The state of stream order-7 is not known: state.order.OrderPlaced.sum"));
}

#[test]
fn a_text_that_is_no_stream_id_rejects_the_command() {
    let domain = parse(&rules_with("false")).unwrap();
    let refused = decide(&domain, json!({"order_id": ""})).unwrap_err();
    assert_eq!(
        (&*refused.code, &*refused.message),
        ("invalid_stream_id", "\"order-\" is not a stream id: its key is empty.")
    );
}

#[test]
fn items_are_grouped_by_stream_in_the_order_of_their_first_appearance() {
    let rules = r#"
[commands.PlaceOrder]
each = "command.items"
stream = "'order-' + item.sku"
let.quantity = "items.map(i, i.quantity).sum()"
emit = [{ event = "OrderPlaced", when = "quantity > 0", data = { order_id = "items[0].sku", total_minor = "quantity" } }]
"#;
    let domain = parse(rules).unwrap();
    let item = |sku: &str, quantity: i64| json!({"sku": sku, "quantity": quantity, "price_minor": 0});
    let order = |items: Vec<serde_json::Value>| json!({"order_id": "7", "items": items});
    let data = order(vec![item("b", 1), item("a", 2), item("b", 3), item("c", 0)]);
    let streams = domain.streams(&command(&domain, data.clone())).unwrap();
    assert_eq!(streams.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["order-b", "order-a", "order-c"]);
    let events = decide(&domain, data).unwrap();
    let schema = domain.definition().record(Topic::Events, "OrderPlaced").unwrap().unregistered();
    let shown = events.iter().map(|(stream, event)| {
        let json = schema.json(&schema.encode(event).unwrap()).unwrap();
        (*stream, json["total_minor"].as_i64().unwrap())
    });
    assert_eq!(shown.collect::<Vec<_>>(), [(0, 4), (1, 2)]);
    assert_eq!(decide(&domain, order(vec![])).unwrap_err().code, "no_streams");
}

#[test]
fn the_rules_say_on_which_streams_an_event_is() {
    let folded = rules_with("false");
    let emitted = folded.lines().filter(|line| !line.starts_with("[state") && !line.starts_with("OrderPlaced"));
    for rules in [folded.clone(), emitted.collect::<Vec<_>>().join("\n")] {
        let streams = parse(&rules).unwrap().stream_types_of_events();
        assert_eq!(streams.get("OrderPlaced"), Some(&vec!["order".to_owned()]), "{rules}");
    }
}
