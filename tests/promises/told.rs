//! What a person is told when something is wrong: the cause first, each name once.

use std::fs;

use serde_json::{Value, json};

use crate::own::Own;
use crate::world::World;

crate::promises![
    a_change_that_the_log_forbids_is_told_before_what_it_breaks_in_the_rules,
    an_event_type_that_the_log_does_not_have_is_told_with_each_that_it_has_once
];

async fn a_change_that_the_log_forbids_is_told_before_what_it_breaks_in_the_rules(world: World) {
    let own = Own::of_folder(&world, "../domains/orders");
    own.applied().await;
    let text = fs::read_to_string(own.dir.join("events/OrderCancelled.avsc")).expect("the file");
    let mut schema: Value = serde_json::from_str(&text).expect("JSON");
    schema["fields"].as_array_mut().expect("fields").push(json!({"name": "isbn", "type": "string"}));
    own.write("events/OrderCancelled.avsc", &schema);
    let (code, report) = own.apply(&[]).await;
    let problem = |at: usize| report["problems"][at]["problem"].as_str().unwrap_or_default().to_owned();
    assert_eq!((code, &report["problems"][0]["file"]), (1, &json!("events/OrderCancelled.avsc")), "{report:#}");
    assert!(problem(0).starts_with("isbn: the field is new") && problem(0).ends_with("a default"), "{report:#}");
    assert!(problem(1).contains("OrderCancelled needs the field isbn"), "{report:#}");
}

async fn an_event_type_that_the_log_does_not_have_is_told_with_each_that_it_has_once(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let (code, printed) = world.try_millrace(&["events", "--log", &own.log, "--type", "NoSuch"]).await;
    assert_eq!(code, 2, "{printed}");
    assert!(printed.contains("it has TicketClosed, TicketOpened"), "{printed}");

    // a statement's file is missing because the name in projector.toml is wrong
    let dir = own.dir.join("lost");
    fs::create_dir_all(&dir).expect("a folder");
    let toml = format!("name = \"lost\"\n[reads]\n{} = [\"TicketLost\"]\n", own.log);
    let files = [("projector.toml", toml.as_str()), ("tables.sql", "CREATE TABLE t ()"), ("on_TicketOpened.sql", "x")];
    for (file, text) in files {
        fs::write(dir.join(file), text).expect("a file");
    }
    let (code, printed) = world.try_millrace(&["projector", "check", &dir.display().to_string()]).await;
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("has no event type TicketLost; it has TicketClosed, TicketOpened"), "{printed}");
    assert!(printed.contains("on_TicketLost.sql: the file is missing"), "{printed}");
}
