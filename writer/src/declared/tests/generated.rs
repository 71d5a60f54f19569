//! What generated commands come to.

use super::super::Problem;
use super::*;

const PAY: &str = r#"{"type": "record", "name": "PlaceOrder", "fields": [
    {"name": "order_id", "type": "string"},
    {"name": "code", "type": "string", "default": ""},
    {"name": "kind", "type": "string", "default": ""},
    {"name": "amount", "type": "long", "default": 0},
    {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}],
        "default": null},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "labels", "type": {"type": "map", "values": "string"}, "default": {}},
    {"name": "note", "type": ["null", "string"], "default": null}]}"#;
const PAID: &str = r#"{"type": "record", "name": "OrderPlaced", "fields": [
    {"name": "order_id", "type": "string"},
    {"name": "category", "type": "string", "default": ""},
    {"name": "paid", "type": "long", "default": 0}]}"#;

/// Checks rules whose `reject` begins with these, and ends with one that fails for every command that has no note.
fn behind(rejects: &[&str]) -> Result<DeclaredDomain, RulesError> {
    with_last(rejects, "command.note.size() > 5")
}

fn with_last(rejects: &[&str], last: &str) -> Result<DeclaredDomain, RulesError> {
    sound(LogDefinition::parse("orders", &[PAY], &[PAID]).unwrap(), "order", &rules_behind(rejects, last))
}

fn rules_behind(rejects: &[&str], last: &str) -> String {
    format!(
        r#"
[state.order]
OrderPlaced = {{ category = "event.category", paid = "event.paid + (has(state.paid) ? state.paid : 0)" }}

[commands.PlaceOrder]
stream = "'order-' + command.order_id"
let.number = "command.code"
reject = [
{}    {{ when = "{last}", code = "last", message = "The last." }},
]
emit = [{{ event = "OrderPlaced", data = {{ order_id = "command.order_id", category = "command.kind", paid = "command.amount" }} }}]
"#,
        rejects.iter().fold(String::new(), |text, when| text
            + &format!("    {{ when = \"{when}\", code = \"before\", message = \"Before.\" }},\n"))
    )
}

#[test]
fn what_stands_behind_a_check_of_a_texts_form_or_of_a_value_is_tried() {
    for rejects in [
        &["!command.code.matches('^[0-9]{1,4}$')"][..],
        &["!number.matches('^(DE|FR)-[A-Z]{2}[0-9]{6}$')"],
        &[r"!command.code.matches('^\\\\w{3,20}$')", "size(command.code) != 12"],
        &["command.kind != 'deposit'"],
        &["!(command.kind in ['deposit', 'withdrawal'])", "command.code != 'EUR-DE'"],
        &["command.code.size() != 40"],
        &["!command.code.startsWith('order/')"],
        &["!command.code.startsWith('order/') || !command.code.endsWith('.pdf')"],
        &["!command.code.contains('::')"],
        &["command.amount < 5000 || command.amount > 5002"],
        &["command.amount % 1000 != 0 || command.amount < 7000"],
        &["command.price == null", "command.price != '12.34'"],
        &["size(command.tags) != 7"],
        &["size(command.tags) == 0", "!command.tags.all(t, t.matches('^#[a-f]+$'))"],
        &["!('channel' in command.labels)", "command.labels['channel'] != 'web'"],
    ] {
        let refused = behind(rejects).err().unwrap_or_else(|| panic!("{rejects:?} keeps everything away")).to_string();
        assert!(refused.contains("command.note is null here: ask command.note != null first"), "{refused}");
    }
}

#[test]
fn what_depends_on_the_state_that_earlier_commands_leave_is_tried() {
    for (rejects, reached) in [
        (&[][..], "has(state.category) && state.category == 'gift'"),
        (&[], "has(state.paid) && state.paid > 30000"),
        (&["!command.order_id.matches('^[0-9]{12}$')"], "has(state.paid) && state.category != command.kind"),
    ] {
        let refused = with_last(rejects, &format!("{reached} && command.note.size() > 5"));
        let refused = refused.err().unwrap_or_else(|| panic!("{reached} is never so")).to_string();
        assert!(refused.contains("command.note is null here: ask command.note != null first"), "{refused}");
    }
}

#[test]
fn the_generated_check_finds_the_same_on_every_run() {
    let found = || behind(&["!command.code.matches('^[0-9a-z]{1,40}$')"]).unwrap_err().to_string();
    assert_eq!(found(), found());
}

#[test]
fn hostile_patterns_do_not_hold_up_the_generated_check() {
    let started = std::time::Instant::now();
    for pattern in ["^((a{900}){900}){9}$", "^(.{1,60}){1,60}$", r"^\\\\w{1,100}\\\\b"] {
        let _ = behind(&[&format!("!command.code.matches('{pattern}')")]);
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn a_rule_that_no_generated_command_gets_past_is_named() {
    let untried = |rejects: &[&str]| {
        let rules = rules_behind(rejects, "false");
        let definition = LogDefinition::parse("orders", &[PAY], &[PAID]).unwrap();
        let definition = definition.with_stream_types(vec!["order".to_owned()]);
        let domain = DeclaredDomain::load(definition, "domain.toml", &rules).unwrap();
        let untried = domain.check_generated("domain.toml", &rules).unwrap();
        untried.into_iter().map(|Problem { line, field, .. }| (line, field)).collect::<Vec<_>>()
    };
    assert_eq!(untried(&["!command.code.matches('^[0-9]{1,4}$')"]), []);
    let joined = "command.amount * 7919 + size(command.code) != 1234567891";
    let second = "commands.PlaceOrder.reject[1].when".to_owned();
    assert_eq!(untried(&["size(command.code) > 100", joined, "command.kind == 'x'"]), [(10, second)]);
}
