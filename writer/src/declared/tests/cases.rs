//! Cases that are held against the rules.

use super::*;

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

#[test]
fn a_given_event_of_a_stream_that_can_not_have_it_is_refused() {
    let domain = parse(&rules_with("has(state.status)")).unwrap();
    let case = r#"
[[case]]
name = "a mistyped stream"
given = [{ stream = "ordr-7", event = "OrderPlaced", data = { order_id = "7" } }]
when = { command = "PlaceOrder", data = { order_id = "8" } }
then = [{ stream = "order-8", event = "OrderPlaced", data = { order_id = "8" } }]
"#;
    let refused = domain.check_cases("cases/a.toml", case).unwrap_err().to_string();
    assert!(refused.contains("the log has no streams of type ordr; there are: order"), "{refused}");

    let unsound = case.replace("ordr-7", "order-8").replace("{ order_id = \"7\" }", "{ id = \"7\" }");
    let refused = domain.check_cases("cases/a.toml", &unsound).unwrap_err().to_string();
    assert!(refused.contains("no field \"id\"") && !refused.contains("contradicts"), "only the cause: {refused}");
}

#[test]
fn a_case_may_have_a_date_as_toml_writes_it_and_one_table_instead_of_a_list_is_told_how_to_become_one() {
    let domain = parse(&rules_with("command.order_id != '2026-11-25'")).unwrap();
    let case = r#"
[[case]]
name = "a date is a text"
when = { command = "PlaceOrder", data = { order_id = 2026-11-25 } }
then = [{ stream = "order-2026-11-25", event = "OrderPlaced", data = { order_id = "2026-11-25" } }]
"#;
    assert_eq!(domain.check_cases("cases/a.toml", case), Ok(1));
    let one = domain.check_cases("cases/a.toml", &case.replace("[[case]]", "[case]")).unwrap_err().to_string();
    assert!(one.contains("case: expected a list: write [[case]] before each item"), "{one}");
}
