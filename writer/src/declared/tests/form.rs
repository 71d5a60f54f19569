//! What a file of rules may say, and how.

use super::*;

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
fn more_than_200_patterns_are_refused_before_they_are_compiled() {
    let pattern = "command.order_id.matches('^([a-z]{1,1000}){5}$')";
    let checks: String =
        (0..201).map(|n| format!("{{ when = \"{pattern}\", code = \"c{n}\", message = \"m\" }},\n")).collect();
    let rules =
        format!("[commands.PlaceOrder]\nstream = \"'order-' + command.order_id\"\ncheck = [{checks}]\nemit = []");
    assert!(parse(&rules).unwrap_err().to_string().contains("has 201 patterns (matches), and at most 200"));
}

#[test]
fn an_expression_of_10_mb_is_refused() {
    let refused = refused(&"a".repeat(10_000_000));
    assert!(refused.contains("the file has 10000") && refused.contains("at most 262144 are allowed"), "{refused}");
    assert!(self::refused(&"(".repeat(100_000)).contains("the expression has 100000 bytes"));
}

#[test]
fn what_an_author_may_mistake_is_answered_with_what_to_write() {
    let changed = |from: &str, to: &str| parse(&rules_with("false").replace(from, to)).unwrap_err().to_string();
    let said = changed("reject", "let = { a = \"b + 1\", b = \"a + 1\" }\nreject");
    assert!(said.contains("let.a: a `let` can use those above it, and `b` is not above: move it up"), "{said}");
    let said = changed("reject", "expect = \"stream-exist\"\nreject");
    assert!(
        said.ends_with("\"stream-exist\" is not \"no-stream\", \"stream-exists\", or a version such as \"command.expected_version\""),
        "{said}"
    );
}
