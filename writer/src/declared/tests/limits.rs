//! What rules may cost, and what is refused because it could cost more.

use super::*;

pub(super) fn order_of(items: usize, sku: impl Fn(usize) -> String) -> serde_json::Value {
    let item = |index| json!({"sku": sku(index), "quantity": 1, "price_minor": 5});
    json!({"order_id": "7", "items": (0..items).map(item).collect::<Vec<_>>()})
}

#[test]
fn a_short_list_compared_with_a_long_one_many_times_walks_the_long_one_never() {
    let order = order_of(10_000, |index| index.to_string());
    let started = std::time::Instant::now();
    assert_eq!(comes_to("command.items.exists(i, [i] == command.items)", order), "false");
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn comparing_long_lists_is_charged_for_each_item_that_is_looked_at() {
    let order = order_of(1_000, |_| "a".to_owned());
    let all = "command.items.all(i, command.items.map(j, j) == command.items)";
    assert_eq!(comes_to(all, order.clone()), "rules_too_costly");
    // the first difference ends it
    let rules = rules_with("command.items.all(i, a != b)").replace(
        "reject = ",
        "let.a = \"['x'] + command.items.map(j, j.sku)\"\nlet.b = \"['y'] + command.items.map(j, j.sku)\"\nreject = ",
    );
    assert_eq!(decide(&parse(&rules).unwrap(), order.clone()).unwrap_err().code, "wrong");
    // a value is equal to itself without a look
    assert_eq!(comes_to("command.items.all(i, command.items == command.items)", order), "true");
}

/// Rules with two values of 2^25 items each, of which only 26 lists are in memory.
fn rules_with_shared_lists(when: &str) -> String {
    let named = |name: &str| {
        let first = format!("let.{name}0 = \"[command.order_id]\"\n");
        let nested = |depth: usize| format!("let.{name}{depth} = \"[{name}{0}, {name}{0}]\"\n", depth - 1);
        first + &(1..=25).map(nested).collect::<String>()
    };
    let asked = (1..=25).map(|depth| format!("size(a{depth}) + size(b{depth}) < 0 || ")).collect::<String>();
    rules_with(&format!("{asked}{when}")).replace("reject = ", &format!("{}{}reject = ", named("a"), named("b")))
}

#[test]
fn values_that_share_their_parts_are_equal_at_once_or_too_costly() {
    let domain = parse(&rules_with_shared_lists("a25 == a25")).unwrap();
    assert_eq!(decide(&domain, json!({"order_id": "7"})).unwrap_err().code, "wrong");
    let refused = parse(&rules_with_shared_lists("a25 == b25")).unwrap_err().to_string();
    assert!(refused.contains("it takes more than 1000000 steps"), "{refused}");
    let refused = parse(&rules_with_shared_lists("b24 in a25")).unwrap_err().to_string();
    assert!(refused.contains("it takes more than 1000000 steps"), "{refused}");
}

#[test]
fn lists_that_nest_without_end_are_refused() {
    let lets = (1..100).map(|depth| format!("let.a{depth} = \"[a{}]\"\n", depth - 1)).collect::<String>();
    let rules = rules_with("false").replace("reject = ", &format!("let.a0 = \"[1]\"\n{lets}reject = "));
    let refused = parse(&rules).unwrap_err().to_string();
    assert!(refused.contains("lists and records nest more than 32 deep"), "{refused}");
}

#[test]
fn distinct_is_charged_for_the_text_that_it_reads() {
    let distinct = "command.items.all(i, command.items.map(j, j.sku).distinct().size() > 0)";
    assert_eq!(comes_to(distinct, order_of(100, |index| index.to_string())), "true");
    let long = order_of(100, |index| format!("{}{index}", "x".repeat(2_000)));
    assert_eq!(comes_to(distinct, long), "rules_too_costly");
}

#[test]
fn a_long_text_in_every_event_is_charged_each_time() {
    let rules = r#"
[commands.PlaceOrder]
each = "command.items"
stream = "'order-' + item.sku"
emit = [{ event = "OrderPlaced", data = { order_id = "command.order_id" } }]
"#;
    let domain = parse(rules).unwrap();
    let mut order = order_of(2_000, |index| index.to_string());
    assert_eq!(decide(&domain, order.clone()).unwrap().len(), 2_000);
    order["order_id"] = "x".repeat(20_000).into();
    assert_eq!(decide(&domain, order).unwrap_err().code, "rules_too_costly");
}

#[test]
fn the_folds_of_a_decision_share_its_steps() {
    let doubled = vec!["size(event.order_id + event.order_id)"; 20].join(" + ");
    let rules = format!(
        r#"
[state.order]
OrderPlaced = {{ size = "{doubled}" }}
[commands.PlaceOrder]
each = "command.items"
stream = "'order-' + item.sku"
emit = [{{ event = "OrderPlaced", data = {{ order_id = "command.order_id" }} }}]
"#
    );
    let domain = parse(&rules).unwrap();
    let mut order = order_of(1, |index| index.to_string());
    order["order_id"] = "x".repeat(20_000).into();
    assert!(decide(&domain, order.clone()).is_ok());
    order["items"] = order_of(50, |index| index.to_string())["items"].clone();
    assert_eq!(decide(&domain, order).unwrap_err().code, "rules_too_costly");
}

#[test]
fn messages_do_not_grow_past_the_steps_of_a_decision() {
    let order = || order_of(1, |_| "x".repeat(100_000));
    let long = "{command.items[0].sku}".repeat(500);
    let domain = parse(&rules_with("true").replace("{command.order_id}", &long)).unwrap();
    let refused = decide(&domain, order()).unwrap_err();
    assert!(refused.code == "wrong" && refused.message.len() < 17_000_000, "{}", refused.message.len());
    let missing = "command.items.exists(i, i.sku.size() > 1000 && command.labels[i.sku] == '')";
    let domain = parse(&rules_with(missing)).unwrap();
    let refused = decide(&domain, order()).unwrap_err();
    assert!(refused.code == "rule_failed" && refused.message.len() < 1_000, "{}", refused.message.len());
}

#[test]
fn a_state_has_500_fields_at_most() {
    let with_fields = |count: usize| {
        let fields = (0..count).map(|field| format!("f{field} = '1'")).collect::<Vec<_>>().join(", ");
        rules_with("false").replace("status = \"'placed'\"", &fields)
    };
    assert!(parse(&with_fields(499)).is_ok(), "and total");
    let refused = parse(&with_fields(500)).unwrap_err().to_string();
    assert_eq!(refused, "domain.toml:2: state.order: it has 501 fields, and at most 500 are allowed");
}

#[test]
fn a_field_that_holds_itself_is_refused() {
    let with_field = |text: &str| rules_with("false").replace("'placed'", text);
    let refused = parse(&with_field("has(state.status) ? [state.status] : []")).unwrap_err().to_string();
    assert!(refused.contains("the type of the field status has no end: it holds itself"), "{refused}");
    let refused = parse(&with_field("[state]")).unwrap_err().to_string();
    assert!(refused.contains("a field can't hold a whole state: name the fields"), "{refused}");
}

#[test]
fn a_stream_is_named_by_a_literal_with_its_type_and_what_follows() {
    let with_stream = |text: &str| rules_with("false").replace("'order-' + command.order_id", text);
    for sound in ["'order-' + command.order_id + '-x'", "'order-1'", "('order-' + command.order_id)"] {
        assert!(parse(&with_stream(sound)).is_ok(), "{sound}");
    }
    for other in ["'order-' == command.order_id ? 'foo-1' : 'order-1'", "['order-1'][0]", "'or' + 'der-1'"] {
        let refused = parse(&with_stream(other)).unwrap_err().to_string();
        assert!(refused.contains("a stream's id begins with '<type>-' as a literal"), "{refused}");
    }
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
