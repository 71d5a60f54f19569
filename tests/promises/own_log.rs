//! Logs of one's own: a folder is applied, changed, refused and dropped.

use std::fs;
use std::time::{Duration, Instant};

use millrace_runtime::kafka::{
    TopicSpec, client_config, consumer_config, create_topics, delete_topics, group_client_ids,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::{Value, json};

use crate::client::{Client, JsonCommand};
use crate::own::{Own, append, changes, event, one, opened};
use crate::world::{World, wait_until};

crate::promises![
    applying_a_folder_creates_its_log_and_applying_it_twice_changes_nothing,
    a_new_optional_field_and_a_new_event_type_are_applied_to_a_log,
    an_incompatible_change_is_refused_and_leaves_the_log_as_it_was,
    a_dry_run_changes_no_log,
    a_log_is_applied_to_the_end_after_it_was_broken_off,
    two_that_apply_a_folder_at_once_make_one_log,
    a_log_of_50_records_is_applied_in_5_seconds,
    a_log_check_reads_every_stored_version_with_the_newest,
    a_log_is_dropped_only_by_its_name_said_twice_and_while_nobody_works_on_it,
    a_log_drop_in_a_database_without_the_log_deletes_nothing,
    a_log_with_rules_keeps_them,
    a_type_that_a_log_has_streams_of_stays,
    a_check_refuses_the_names_that_no_log_may_have,
    a_log_takes_any_number_of_partitions_for_commands_and_its_own_for_events
];

async fn applying_a_folder_creates_its_log_and_applying_it_twice_changes_nothing(world: World) {
    let own = Own::new(&world);
    let made = own.applied().await;
    let counts = ["create-log", "create-topic", "add-schema", "keep-files"].map(|kind| changes(&made, kind));
    // two versions of TicketOpened, one of TicketClosed, Append, Outcome
    assert_eq!(counts, [1, 4, 5, 1], "{made:#?}");
    let shown = own.show().await;
    let facts = ["definition", "partitions", "rules", "stream_types"].map(|fact| shown[fact].clone());
    assert_eq!(facts, [json!("tickets"), json!(3), json!("append"), json!(["ticket"])]);
    let records: Vec<(&str, i64)> = shown["records"]
        .as_array()
        .expect("records")
        .iter()
        .map(|record| (record["full_name"].as_str().expect("a name"), record["versions"].as_i64().expect("a number")))
        .collect();
    let expected =
        [("millrace.Append", 1), ("helpdesk.TicketClosed", 1), ("helpdesk.TicketOpened", 2), ("millrace.Outcome", 1)];
    assert_eq!(records, expected);
    wait_until("the topics are there", async || own.topics().await == [3, 3, 3, 3]).await;
    let listed = world.millrace(&["log", "list"]).await;
    assert!(listed.contains(&own.log) && listed.contains(world.log.as_str()), "{listed}");

    let before = own.state().await;
    let (code, again) = own.apply(&[]).await;
    assert_eq!((code, &again["result"], &again["changes"]), (0, &json!("nothing-to-change"), &json!([])), "{again:#}");
    // the same, formatted otherwise
    let path = own.dir.join("events/TicketClosed.avsc");
    let text: Value = serde_json::from_str(&fs::read_to_string(&path).expect("the file")).expect("JSON");
    own.write("events/TicketClosed.avsc", &text);
    assert_eq!(own.apply(&[]).await.1["result"], "nothing-to-change");
    assert_eq!(own.state().await, before);
    world.millrace(&["log", "check", &own.dir.display().to_string()]).await;
    world.millrace(&["log", "check", &own.log]).await;
    own.drop_log().await;
}

async fn a_new_optional_field_and_a_new_event_type_are_applied_to_a_log(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let note = json!({"name": "note", "type": ["null", "string"], "default": null});
    own.write(
        "events/TicketClosed.avsc",
        &event("TicketClosed", json!([{"name": "ticket_id", "type": "string"}, note])),
    );
    own.write("events/TicketReopened.avsc", &event("TicketReopened", json!([{"name": "ticket_id", "type": "string"}])));
    let made = own.applied().await;
    let added: Vec<String> =
        made.iter().filter(|change| change["change"] == "add-schema").map(ToString::to_string).collect();
    assert_eq!(added.len(), 2, "{made:#?}");
    assert!(added[0].contains("TicketClosed") && added[0].contains("\"version\":2"), "{added:?}");
    assert!(added[1].contains("TicketReopened") && added[1].contains("\"version\":1"), "{added:?}");
    world.millrace(&["log", "check", &own.log]).await;
    let (code, _) = own.apply(&[]).await;
    assert_eq!(code, 0);
    own.drop_log().await;
}

async fn an_incompatible_change_is_refused_and_leaves_the_log_as_it_was(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let before = own.state().await;
    let id = json!({"name": "ticket_id", "type": "string"});
    let refusals = [
        (
            event("TicketClosed", json!([id, {"name": "by", "type": "string"}])),
            "by: the field is new and has no default",
            "give the field a default",
        ),
        (
            event("TicketClosed", json!([{"name": "ticket_id", "type": "long"}])),
            "ticket_id: the type was a string",
            "add another field, of the new type and with a default",
        ),
        (event("TicketClosed", json!([])), "ticket_id: the field was removed", "put the field back"),
    ];
    for (changed, expected, remedy) in refusals {
        own.write("events/TicketClosed.avsc", &changed);
        let (code, report) = own.apply(&[]).await;
        let problem = report["problems"][0]["problem"].as_str().unwrap_or_default();
        assert_eq!(
            (code, &report["result"], &report["problems"][0]["file"]),
            (1, &json!("refused"), &json!("events/TicketClosed.avsc"))
        );
        assert!(problem.contains(expected) && problem.contains(remedy), "{report:#}");
    }
    fs::remove_file(own.dir.join("events/TicketClosed.avsc")).expect("the file");
    let toml =
        fs::read_to_string(own.dir.join("log.toml")).expect("the file").replace("partitions = 3", "partitions = 4");
    fs::write(own.dir.join("log.toml"), toml).expect("the folder can be written");
    let (code, report) = own.apply(&[]).await;
    let problems = report["problems"].to_string();
    assert_eq!(code, 1);
    assert!(problems.contains("the log has this record, so the file must stay"), "{problems}");
    assert!(problems.contains("was created with 3, which is for ever: write partitions = 3"), "{problems}");
    assert_eq!(own.state().await, before);

    // somebody else's schema
    let client = world.pool(1).get().await.expect("Postgres");
    client.batch_execute("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.things ()").await.expect("Postgres");
    let dir = own.dir.display().to_string();
    let (code, printed) = world.try_millrace(&["log", "apply", &dir, "--as", "elsewhere"]).await;
    assert!(code == 1 && printed.contains("has tables that are no log's"), "{printed}");
    assert_eq!(world.try_millrace(&["log", "drop", "elsewhere", "--yes-really-delete", "elsewhere"]).await.0, 2);

    // the ledger's definition is in the program
    let (code, printed) = world.try_millrace(&["log", "apply", &dir, "--as", world.log.as_str()]).await;
    assert!(code == 1 && printed.contains("was created from the definition ledger"), "{printed}");
    own.drop_log().await;
}

async fn a_dry_run_changes_no_log(world: World) {
    let own = Own::new(&world);
    let (code, report) = own.apply(&["--dry-run"]).await;
    assert_eq!((code, &report["result"]), (0, &json!("planned")), "{report:#}");
    let planned = report["changes"].as_array().expect("changes").clone();
    assert_eq!(own.topics().await, [0; 4]);
    assert_eq!(own.subjects().await, [""; 0]);
    assert_eq!(world.try_millrace(&["log", "show", &own.log]).await.0, 1, "there is no log");
    assert_eq!(own.applied().await, planned, "the plan was right");

    own.write("events/TicketLost.avsc", &event("TicketLost", json!([])));
    let before = own.state().await;
    let (code, report) = own.apply(&["--dry-run"]).await;
    assert_eq!((code, changes(report["changes"].as_array().expect("changes"), "add-schema")), (0, 1), "{report:#}");
    assert_eq!(own.state().await, before);
    own.drop_log().await;
}

async fn a_log_is_applied_to_the_end_after_it_was_broken_off(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let before = own.state().await;
    let client = world.pool(1).get().await.expect("Postgres");
    let log = &own.log;
    for broken_off in [
        // before the definition was stored
        format!("DELETE FROM \"{log}\".definitions"),
        // after the registry had the schemas
        format!("DELETE FROM \"{log}\".definitions; DELETE FROM \"{log}\".schemas WHERE name = 'TicketOpened'"),
        // after the tables were made
        format!("DELETE FROM \"{log}\".definitions; DELETE FROM \"{log}\".schemas; DELETE FROM \"{log}\".log"),
    ] {
        client.batch_execute(&broken_off).await.expect("Postgres");
        own.applied().await;
        let (mut shown, _, subjects) = own.state().await;
        shown["applied_at"] = before.0["applied_at"].clone();
        assert_eq!((shown, subjects), (before.0.clone(), before.2.clone()));
    }
    own.drop_log().await;
}

async fn two_that_apply_a_folder_at_once_make_one_log(world: World) {
    let own = Own::new(&world);
    let both = tokio::join!(own.apply(&[]), own.apply(&[]));
    let mut results = [both.0.1["result"].clone(), both.1.1["result"].clone()].map(|result| result.to_string());
    results.sort();
    assert_eq!(results, ["\"applied\"", "\"nothing-to-change\""]);
    assert_eq!(own.state().await.1, 1);
    own.drop_log().await;
}

async fn a_log_of_50_records_is_applied_in_5_seconds(world: World) {
    let own = Own::new(&world);
    for number in 0..48 {
        let name = format!("TicketMoved{number}");
        own.write(&format!("events/{name}.avsc"), &event(&name, json!([{"name": "ticket_id", "type": "string"}])));
    }
    // the machine is shared, so the best of three counts
    let mut best = Duration::MAX;
    for attempt in 0..3 {
        let log = format!("{}x{attempt}", own.log);
        let begun = Instant::now();
        world.millrace(&["log", "apply", &own.dir.display().to_string(), "--as", &log]).await;
        println!("50 records were applied in {} ms", begun.elapsed().as_millis());
        best = best.min(begun.elapsed());
        world.millrace(&["log", "drop", &log, "--yes-really-delete", &log]).await;
        if best < Duration::from_secs(5) {
            return;
        }
    }
    panic!("50 records take {} ms", best.as_millis());
}

async fn a_log_check_reads_every_stored_version_with_the_newest(world: World) {
    let writer = world.service(&["writer"]).await;
    Client::new(&world).send(&JsonCommand::open("open-a", "a", None)).await;
    world.wait_for_outcomes(1).await;
    drop(writer);
    let check = async || {
        let (code, printed) = world.try_millrace(&["log", "check", world.log.as_str(), "--output", "json"]).await;
        (code, serde_json::from_str::<Value>(&printed).expect("JSON"))
    };
    let (code, checked) = check().await;
    assert_eq!((code, &checked["versions"], &checked["problems"]), (0, &json!(7), &json!([])), "{checked:#}");
    assert_eq!(checked["decoded"], 2, "an event and an outcome");

    // events of a version that the newest can't read, and one that no longer is what its schema says
    let client = world.pool(1).get().await.expect("Postgres");
    let newer = event("AccountClosed", json!([{"name": "account_id", "type": "long"}])).to_string();
    let newer = newer.replace("helpdesk", "millrace.ledger");
    let add = "INSERT INTO schemas (topic, name, version, registry_id, avsc, fingerprint)
               VALUES ('events', 'AccountClosed', 2, 999, $1, sha256(convert_to($1, 'UTF8')))";
    client.execute(add, &[&newer]).await.expect("Postgres");
    client.batch_execute("UPDATE commands SET outcome = outcome || '\\x00'::bytea").await.expect("Postgres");
    let (code, checked) = check().await;
    let problems = checked["problems"].to_string();
    assert_eq!(code, 1, "{problems}");
    assert!(problems.contains("events/AccountClosed, version 1"), "{problems}");
    assert!(problems.contains("account_id: the type was a string and is a long now"), "{problems}");
    assert!(problems.contains("stored data can't be read: 1 bytes are left over"), "{problems}");
}

async fn a_log_is_dropped_only_by_its_name_said_twice_and_while_nobody_works_on_it(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let (code, printed) = world.try_millrace(&["log", "drop", &own.log, "--yes-really-delete", "other"]).await;
    assert!(code == 2 && printed.contains("nothing was deleted"), "{printed}");
    assert_eq!(world.try_millrace(&["log", "drop", &own.log]).await.0, 2);
    let relay = world.service(&["relay", "--log", &own.log]).await;
    let group = consumer_config(&world.settings, &format!("{}.relay", own.log)).expect("settings");
    let is_member = async || group_client_ids(&group).await.is_ok_and(|members| !members.is_empty());
    wait_until("the relay is a member of its group", is_member).await;
    let (code, printed) = own.drop_log().await;
    assert!(code == 1 && printed.contains(&format!("{}.relay has members", own.log)), "{printed}");
    own.show().await;
    drop(relay);

    // somebody else's program, whose group has no name of the log's
    let group = format!("reader-of-{}", own.log);
    let reader: BaseConsumer =
        consumer_config(&world.settings, &group).expect("settings").create().expect("a consumer");
    reader.subscribe(&[&format!("{}.events", own.log)]).expect("a topic");
    let has_joined = async || {
        let _ = reader.poll(Duration::ZERO);
        reader.assignment().is_ok_and(|assigned| assigned.count() > 0)
    };
    wait_until("the reader has joined its group", has_joined).await;
    let (code, printed) = own.drop_log().await;
    assert!(code == 1 && printed.contains(&group), "{printed}");
    own.show().await;
    drop(reader);

    wait_until("the relay and the reader are no members any more", async || own.drop_log().await.0 == 0).await;
    wait_until("the topics are gone", async || own.topics().await == [0; 4]).await;
    assert_eq!(own.subjects().await, [""; 0]);
    assert!(!world.millrace(&["log", "list"]).await.contains(&own.log));
    let (code, printed) = own.drop_log().await;
    assert!(code == 0 && printed.contains("this database has no such log"), "{printed}");
    // the name is free again
    own.applied().await;
    own.drop_log().await;
}

async fn a_log_drop_in_a_database_without_the_log_deletes_nothing(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let before = (own.state().await, own.topics().await);
    let client = world.pool(1).get().await.expect("Postgres");
    let rename = async |from: &str, to: &str| {
        client.batch_execute(&format!("ALTER SCHEMA \"{from}\" RENAME TO \"{to}\"")).await.expect("Postgres");
    };
    // as with the address of another database: Kafka and the registry have the log, Postgres has not
    rename(&own.log, "away").await;
    let (code, printed) = own.drop_log().await;
    rename("away", &own.log).await;
    assert!(code == 0 && printed.contains("this database has no such log: nothing was deleted"), "{printed}");
    assert_eq!((own.state().await, own.topics().await), before);
    own.drop_log().await;
}

async fn a_log_with_rules_keeps_them(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let fields = json!([{"name": "ticket_id", "type": "string"}, {"name": "subject", "type": "string"}]);
    fs::create_dir_all(own.dir.join("commands")).expect("a folder");
    own.write("commands/OpenTicket.avsc", &event("OpenTicket", fields));
    let before = own.state().await;
    let (code, report) = own.apply(&[]).await;
    assert_eq!((code, &report["problems"][0]["file"]), (1, &json!("domain.toml")), "{report:#}");
    assert!(report["problems"].to_string().contains("commands/OpenTicket.avsc"), "{report:#}");
    assert_eq!(own.state().await, before);

    let rules = r#"
        state.ticket.TicketOpened = { is_open = "true" }
        commands.OpenTicket.stream = "'ticket-' + command.ticket_id"
        commands.OpenTicket.emit = [{ event = "TicketOpened", copy = "command" }]
    "#;
    fs::write(own.dir.join("domain.toml"), rules).expect("the folder can be written");
    let made = own.applied().await;
    assert_eq!(changes(&made, "start-rules"), 1, "{made:#?}");
    let before = own.state().await;
    assert_eq!(before.0["rules"], "declared");

    // with the command's file, and without
    fs::remove_file(own.dir.join("domain.toml")).expect("the file");
    for _ in 0..2 {
        let (code, report) = own.apply(&[]).await;
        let problems = report["problems"].to_string();
        assert!(code == 1 && problems.contains("domain.toml"), "{report:#}");
        assert_eq!(own.state().await, before);
        let _ = fs::remove_file(own.dir.join("commands/OpenTicket.avsc"));
    }
    own.drop_log().await;
}

async fn a_type_that_a_log_has_streams_of_stays(world: World) {
    let own = Own::new(&world);
    own.applied().await;
    let _writer = world.service(&["writer", "--log", &own.log]).await;
    let log_toml = own.dir.join("log.toml");
    let text = fs::read_to_string(&log_toml).expect("the file");
    let renamed = text.replace("[\"ticket\"]", "[\"case\"]");
    assert_ne!(text, renamed);
    fs::write(&log_toml, &renamed).expect("the folder can be written");
    own.applied().await;
    fs::write(&log_toml, &text).expect("the folder can be written");
    own.applied().await;
    let two = append(
        "two",
        json!([one("ticket-1", json!("any"), &[opened("a")]), one("ticket-2", json!("any"), &[opened("b")])]),
    );
    assert_eq!(own.ask(&two).await["outcome"], "accepted");
    fs::write(&log_toml, &renamed).expect("the folder can be written");
    let (code, report) = own.apply(&[]).await;
    let problem = report["problems"][0]["problem"].as_str().unwrap_or_default();
    assert_eq!(code, 1, "{report:#}");
    let expected =
        format!("stream_types lacks \"ticket\", and log {} has 2 streams of that type: put it back", own.log);
    assert_eq!(problem, expected);
    own.drop_log().await;
}

async fn a_check_refuses_the_names_that_no_log_may_have(world: World) {
    let own = Own::new(&world);
    let dir = own.dir.display().to_string();
    let log_toml = own.dir.join("log.toml");
    let text = fs::read_to_string(&log_toml).expect("the file");
    assert_eq!(world.try_millrace(&["log", "check", &dir]).await.0, 0);
    for reserved in ["ledger", "reporting"] {
        fs::write(&log_toml, text.replace("name = \"tickets\"", &format!("name = \"{reserved}\""))).expect("written");
        let (code, printed) = world.try_millrace(&["log", "check", &dir]).await;
        assert_eq!(code, 1, "{printed}");
        assert!(printed.contains(&format!("a log can't be named {reserved}")) && printed.contains("--as"), "{printed}");
    }
}

async fn a_log_takes_any_number_of_partitions_for_commands_and_its_own_for_events(world: World) {
    let own = Own::new(&world);
    let config = client_config(&world.settings).expect("settings");
    let topic = |name: &str| TopicSpec {
        name: format!("{}.{name}", own.log),
        partitions: 5,
        is_fixed: true,
        replication_factor: 1,
        settings: vec![],
    };
    let strangers = [topic("commands"), topic("events"), topic("dead-letters")];
    create_topics(&config, &strangers).await.expect("Kafka");
    wait_until("the topics are there", async || own.topics().await == [5, 5, 0, 5]).await;
    let (code, report) = own.apply(&[]).await;
    let problems = report["problems"].to_string();
    assert_eq!((code, report["problems"].as_array().map(Vec::len)), (1, Some(1)), "{report:#}");
    assert!(problems.contains(&strangers[1].name) && !problems.contains("delete"), "{problems}");

    delete_topics(&config, &[strangers[1].name.clone()]).await.expect("Kafka");
    own.applied().await;
    wait_until("the topics are there", async || own.topics().await == [5, 3, 3, 5]).await;
    assert_eq!(own.apply(&[]).await.1["result"], "nothing-to-change");
    own.drop_log().await;
}
