//! What expressions come to, and which are refused.

use proptest::prelude::*;

use super::*;

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
fn a_field_whose_copy_does_not_fit_is_named() {
    let text = PLACE.replace(r#""order_id", "type": "string""#, r#""order_id", "type": "long""#);
    let definition = LogDefinition::parse("orders", &[&text], &[PLACED]).unwrap();
    let rules = rules_with("false").replace("+ command.order_id", "+ string(command.order_id)");
    let refused = sound(definition, "order", &rules).unwrap_err().to_string();
    assert!(refused.contains("emit[0].copy: the field order_id is an int, but a text is needed"), "{refused}");
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
