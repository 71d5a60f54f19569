//! The declared domain, given / when / then.

mod limits;

use millrace_schemas::{LogDefinition, Received, RecordSchema, Topic};
use proptest::prelude::*;
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
    DeclaredDomain::parse(definition(), &["order".to_owned()], "domain.toml", rules)
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
fn expressions_come_to_what_cel_says() {
    let order = || {
        json!({"order_id": "7", "items": [
        {"sku": "a", "quantity": 2, "price_minor": 5}, {"sku": "b", "quantity": 1, "price_minor": i64::MAX}]})
    };
    for (expression, expected) in [
        ("command.items.map(i, i.quantity).sum() == 3", "true"),
        ("command.items.filter(i, i.quantity > 1).map(i, i.sku) == ['a']", "true"),
        ("command.items.map(i, i.quantity > 1, i.sku) == ['a']", "true"),
        ("command.items.exists_one(i, i.sku == 'a') && command.items.all(i, i.quantity > 0)", "true"),
        ("command.items.map(i, i.sku).distinct().size() == size('é!')", "true"),
        ("'a' in command.items.map(i, i.sku)", "true"),
        ("command.items[0].sku + string(-command.items[0].quantity) == 'a-2'", "true"),
        ("7 / 2 * 2 + 7 % 2 == 7 && -7 / 2 == -3", "true"),
        ("command.note == null || command.note.startsWith('x')", "true"),
        ("command.kind == 'web' && command.kind != 'shop'", "true"),
        ("'x' in command.labels", "false"),
        (
            "command.order_id.matches('^[0-9]+$') && command.order_id.contains('7') && command.order_id.endsWith('7')",
            "true",
        ),
        ("overflows(command.items[1].price_minor + 1)", "true"),
        // in CEL, a side that decides makes up for a fault on the other
        ("command.items[1].price_minor + 1 > 0 || true", "true"),
        ("command.items.exists(i, i.price_minor + 1 < 0 || i.quantity == 1)", "true"),
        ("command.items.map(i, i.price_minor + 1).size() == 2", "overflow"),
        ("command.items.map(i, i.quantity * i.price_minor * 2).sum() > 0", "overflow"),
        ("-(-command.items[1].price_minor - 1) > 0", "overflow"),
    ] {
        // an index outside of its list would be found on generated data
        let guarded = format!("command.items.size() == 2 && ({expression})");
        assert_eq!(comes_to(&guarded, order()), expected, "{expression}");
    }
}

#[test]
fn a_wrong_name_is_refused_with_its_line_and_the_names_that_exist() {
    for (condition, expected) in [
        (
            "has(state.statuss)",
            "domain.toml:7: commands.PlaceOrder.reject[0].when: the state of order has no field statuss; it has: status, total",
        ),
        ("command.id == ''", "command PlaceOrder has no field id; it has: order_id, note, kind, labels, either, items"),
        ("command.items.all(i, i.amount > 0)", "record Item has no field amount; it has: sku, quantity, price_minor"),
        ("event.order_id == ''", "there is no `event` here; there are: command, state"),
        ("now() > 0", "there is no function now of this form; there are: has(state.x), size(x)"),
        ("command.order_id.trim() == ''", "there is no function trim of this form"),
        ("command.kind == 'fax'", "\"fax\" is not one of the enum's symbols: web, shop"),
    ] {
        let refused = refused(condition);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_wrong_type_is_refused() {
    for (condition, expected) in [
        ("command.order_id > 5", "a text can't be compared with an int"),
        ("command.order_id", "the expression is a text, but a bool is needed"),
        ("command.order_id + 5 == ''", "`+` can't take a text and an int: string(…) makes a text of it"),
        ("command.order_id == null", "a text is never null"),
        (
            "command.either == ''",
            "rules can't use the field either of command PlaceOrder: it is a union of other types",
        ),
        ("has(command.note)", "for a field that may be null write … .note != null"),
        ("command.items.sum() > 0", "what stands before .sum() is a list of record"),
        ("state.total == 'x'", "an int can't be compared with a text"),
        ("1u == 1u", "numbers without a sign do not exist here"),
        ("command.order_id.matches('(')", "is not a pattern"),
        ("command.order_id.matches(command.order_id)", "must be a literal"),
    ] {
        let refused = refused(condition);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn maps_are_not_iterated() {
    let refused = refused("command.labels.exists(k, k == 'a')");
    assert!(refused.contains("exists(…) can't go over a map, whose entries have no order"), "{refused}");
}

#[test]
fn what_only_data_shows_is_found_on_generated_data() {
    for (condition, expected) in [
        ("command.note.size() > 5", "a value is null"),
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
fn every_problem_is_said_at_once() {
    let error = parse(
        r#"
[state.order]
OrderPlaced = { status = "'placed'" }
OrderLost = { status = "'lost'" }
[commands.PlaceOrder]
stream = "command.order_id"
reject = [{ when = "has(state.x)", code = "Wrong Code", message = "{command.y}" }]
emit = [{ event = "OrderPlaced", stream = "other", data = { order = "1", order_id = "'2'" } }]
[commands.DropOrder]
stream = "'order-1'"
"#,
    )
    .unwrap_err();
    let lines: Vec<usize> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 6, 7, 7, 8, 8, 9], "{error}");
}

#[test]
fn rules_that_emit_to_a_stream_they_do_not_name_are_refused() {
    let rules = rules_with("false").replace("event = ", "stream = 'customer', event = ");
    let refused = parse(&rules).unwrap_err().to_string();
    assert!(
        refused.contains("domain.toml:8: commands.PlaceOrder.emit[0].stream: an event goes to one of"),
        "{refused}"
    );
    let rules = rules_with("false").replace("'order-'", "'customer-'");
    let refused = parse(&rules).unwrap_err().to_string();
    assert!(refused.contains("the log's stream types are: order"), "{refused}");
}

#[test]
fn a_reserved_name_is_refused() {
    let rules = rules_with("false").replace("reject", "let.state = \"1\"\nreject");
    assert!(parse(&rules).unwrap_err().to_string().contains("the name state is reserved"));
    let rules = rules_with("false").replace("\"wrong\"", "\"overflow\"");
    assert!(parse(&rules).unwrap_err().to_string().contains("the code overflow is reserved"));
}

#[test]
fn a_key_or_form_that_does_not_exist_is_refused() {
    for (from, to, expected) in [
        (
            "emit =",
            "emits =",
            "there is no key `emits` here; there are: each, stream, streams, let, expect, check, reject, emit",
        ),
        ("code = \"wrong\"", "code = 5", "expected a text"),
        ("message = ", "msg = ", "the key `message` is missing"),
        ("reject = [{", "reject = {", "domain.toml:7: not TOML"),
        ("[state.order]", "[states.order]", "there is no key `states` here; there are: state, commands"),
    ] {
        let refused = parse(&rules_with("false").replace(from, to)).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn an_expression_of_10_mb_is_refused() {
    let refused = refused(&"a".repeat(10_000_000));
    assert!(refused.contains("the file has 10000") && refused.contains("at most 262144 are allowed"), "{refused}");
    assert!(self::refused(&"(".repeat(100_000)).contains("the expression has 100000 bytes"));
}

#[test]
fn rules_that_take_too_many_steps_reject_their_command_and_hang_nothing() {
    let nested =
        "command.items.all(a, command.items.all(b, command.items.all(c, command.items.all(d, a.quantity >= 0))))";
    let item = json!({"sku": "a", "quantity": 1, "price_minor": 5});
    let order = |items: usize| json!({"order_id": "7", "items": vec![item.clone(); items]});
    let started = std::time::Instant::now();
    assert_eq!(comes_to(nested, order(1_000)), "rules_too_costly");
    assert_eq!(comes_to(nested, order(5)), "true");
    // nor do texts that grow
    let growing = "command.items.map(a, command.items.map(b, command.order_id + command.order_id).size()).sum() > 0";
    let mut long = order(300);
    long["order_id"] = "x".repeat(500).into();
    assert_eq!(comes_to(growing, long), "rules_too_costly");
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn no_rules_that_pass_the_checks_overflow_the_stack() {
    // each `let` nests as deep as an expression may, inside of the one before
    let chain = |lets: usize| {
        let open = "1 + (".repeat(23);
        let deep = |of: &str| format!("{open}{of}{}{}", ")".repeat(23), " + 1".repeat(50));
        let first = format!("let.a0 = \"{}\"\n", deep("1"));
        let others = (1..lets).map(|index| format!("let.a{index} = \"{}\"\n", deep(&format!("a{}", index - 1))));
        let last = format!("a{} < 0", lets - 1);
        let lets = first + &others.collect::<String>() + "reject";
        rules_with("has(state.total)").replace("reject", &lets).replace("has(state.total)", &last)
    };
    assert!(parse(&chain(12)).is_ok());
    let refused = parse(&chain(100)).unwrap_err().to_string();
    assert!(refused.contains("more than 12 `let`s use one another"), "{refused}");
    let refused = self::refused(&format!("0{} > 0", " + 1".repeat(200)));
    assert!(refused.contains("the expression nests too deep"), "{refused}");
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
    assert!(parse(&rules).unwrap_err().to_string().contains("is not one of \"no-stream\", \"stream-exists\""));
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
fn a_case_that_contradicts_the_rules_is_refused_with_what_it_expected_and_what_came() {
    let domain = parse(&rules_with("has(state.status)")).unwrap();
    let case = |then: &str| {
        format!(
            r#"
[[case]]
name = "placed twice"
given = [{{ stream = "order-7", event = "OrderPlaced", data = {{ order_id = "7" }} }}]
when = {{ command = "PlaceOrder", data = {{ order_id = "7" }} }}
{then}
"#
        )
    };
    assert_eq!(domain.check_cases("cases/a.toml", &case("rejected = { code = 'wrong', message = 'It is 7.' }")), Ok(1));
    assert_eq!(domain.check_cases("cases/a.toml", &case("rejected = { code = 'wrong' }")), Ok(1));
    let refused = |then: &str| domain.check_cases("cases/a.toml", &case(then)).unwrap_err().to_string();
    let contradicts = "cases/a.toml:2: case[0]: the case \"placed twice\" contradicts the rules\n  expected: ";
    assert_eq!(refused("then = []"), format!("{contradicts}no events\n  came:     rejected, wrong: It is 7."));
    assert!(refused("rejected = { code = 'other' }").contains("expected: rejected, other"));
    assert!(
        refused("then = [{ stream = 'order-7', event = 'Lost' }]").contains("have no Lost; there are: OrderPlaced")
    );
    assert!(
        refused("then = [{ stream = '7', event = 'OrderPlaced', data = { order_id = '7' } }]")
            .contains("not a stream id")
    );
    assert!(
        refused("then = [{ stream = 'order-7', event = 'OrderPlaced', data = { id = '7' } }]")
            .contains("no field \"id\"")
    );
    assert!(refused("").contains("a case has either"));
}

/// Expressions of every form, sound or not.
fn expression() -> impl Strategy<Value = String> {
    let names =
        ["command", "state", "order_id", "items", "i", "total", "'a'", "1", "-1", "null", "9223372036854775807"];
    let leaf = proptest::sample::select(names.to_vec()).prop_map(ToOwned::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let forms = [
            "A.order_id",
            "A.items",
            "A.note",
            "A + B",
            "A - B",
            "A * B",
            "A / B",
            "A % B",
            "A == B",
            "A < B",
            "A && B",
            "A || B",
            "!A",
            "-A",
            "A ? B : C",
            "A[B]",
            "A in B",
            "[A, B]",
            "{'a': A}",
            "size(A)",
            "string(A)",
            "A.sum()",
            "A.distinct()",
            "overflows(A)",
            "has(A.total)",
            "A.matches(B)",
            "A.contains(B)",
            "A.map(i, B)",
            "A.map(i, B, C)",
            "A.filter(i, B)",
            "A.all(i, B)",
            "A.exists(i, B)",
            "A.exists_one(i, B)",
            "(A)",
        ];
        (proptest::sample::select(forms.to_vec()), inner.clone(), inner.clone(), inner).prop_map(|(form, a, b, c)| {
            let fill = |letter: char| match letter {
                'A' => a.clone(),
                'B' => b.clone(),
                'C' => c.clone(),
                other => other.to_string(),
            };
            form.chars().map(fill).collect()
        })
    })
}

proptest! {
    #[test]
    fn no_expression_makes_the_checks_or_a_decision_panic(when in expression()) {
        // whatever passes the checks has been evaluated on generated data there
        let _ = parse(&rules_with(&when));
    }
}
