//! A command's metadata (who, from where, why) reach its events unchanged: in Postgres, on the topic and in what people
//! see. Also the other half of promise 1: an id belongs to one command.

use rdkafka::Message;

use crate::client::{Client, JsonCommand, avro, codec, header, text_headers};
use crate::world::World;

crate::promises![
    what_a_command_says_of_its_origin_is_kept_with_its_events_wherever_they_are_read,
    an_id_sent_again_with_another_content_is_refused_whichever_way_it_comes
];

async fn what_a_command_says_of_its_origin_is_kept_with_its_events_wherever_they_are_read(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let origin = [
        ("user-id", "alice"),
        ("correlation-id", "order-7"),
        ("causation-id", "event-3"),
        ("ce_source", "shop"),
        ("client-address", "192.0.2.7"),
        ("traceparent", trace),
    ];
    let mut open = JsonCommand::open("open-a", "a", None);
    open.headers = origin.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    // a service that hands on the header of an event, which names the log
    let mut copied = JsonCommand::open("open-c", "c", None);
    copied.headers = vec![("ce_source", format!("millrace/{}", world.log))];
    client.send_all(&[open, JsonCommand::open("open-b", "b", None), copied]).await;
    world.wait_for_outcomes(3).await;
    world.audit().await;

    let db = world.pool(1).get().await.expect("Postgres");
    let sql = "SELECT user_id, correlation_id, causation_id, source, client_address, traceparent
                 FROM events WHERE stream_id = $1";
    let columns = async |stream: &str| {
        let row = db.query_one(sql, &[&stream]).await.expect("an event");
        (0..6).map(|column| row.get::<_, Option<String>>(column)).collect::<Vec<_>>()
    };
    let expected: Vec<Option<String>> = origin.iter().map(|(_, value)| Some((*value).to_owned())).collect();
    assert_eq!(columns("account-a").await, expected);
    // without these headers, correlation id and causation id are the command's own id
    let id = Some("open-b".to_owned());
    assert_eq!(columns("account-b").await, [None, id.clone(), id, None, None, None]);
    // the log itself is no source: readers of the topic see none either
    assert_eq!(columns("account-c").await[3], None);

    let events = client.read_at_least(&world.log.events_topic(), 3).await;
    let of = |key: &str| events.iter().find(|event| event.key() == Some(key.as_bytes())).expect("its event");
    for (name, value) in origin {
        assert_eq!(header(of("account-a"), name).as_deref(), Some(value), "{name}");
    }
    for stream in ["account-b", "account-c"] {
        assert_eq!(header(of(stream), "ce_source"), Some(format!("millrace/{}", world.log)));
    }
    assert_eq!(header(of("account-b"), "user-id"), None);

    let shown = world.millrace(&["stream", "show", "account-a", "--output", "json"]).await;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["events"][0]["user_id"], "alice", "{shown}");
    assert!(shown["events"][0]["recorded_at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
    assert!(world.millrace(&["stream", "show", "account-a"]).await.contains("alice"));
}

async fn an_id_sent_again_with_another_content_is_refused_whichever_way_it_comes(world: World) {
    let _writer = world.service_with(&["writer"], &[("MILLRACE_BATCH_LINGER_MS", "500")]).await;
    let client = Client::new(&world);
    let codec = codec(&world).await;
    let first = JsonCommand::open("taken", "a", None);
    let other = |account: &str| JsonCommand { key: "account-a".into(), ..JsonCommand::open("taken", account, None) };
    // first in one batch, where the first command has no outcome yet; later in JSON, in Avro, and with another record
    client.send_all(&[first.clone(), other("b")]).await;
    world.wait_for_outcomes(1).await;
    client.read_at_least(&world.log.outcomes_topic(), 2).await;
    let headers = || text_headers(&[("ce_id", "taken")]);
    client.send_raw(Some("account-a"), Some(&avro(&codec, &other("c"))), headers()).await;
    client.send(&JsonCommand { id: "taken".into(), ..JsonCommand::close("x", "a") }).await;
    client.send_raw(Some("account-a"), Some(&avro(&codec, &first)), headers()).await;
    // what it expects is part of what it asks; `any` is the same as nothing
    client.send_all(&[first.clone().expecting("no-stream"), first.clone().expecting("any")]).await;
    let told = client.read_at_least(&world.log.outcomes_topic(), 7).await;
    let mut words: Vec<String> = told.iter().filter_map(|told| header(told, "outcome")).collect();
    words.sort();
    assert_eq!(words, ["accepted", "accepted", "accepted", "rejected", "rejected", "rejected", "rejected"]);
    let schema = codec.newest(millrace_schemas::Topic::Outcomes, "Outcome").expect("the outcome");
    for told in told.iter().filter(|told| header(told, "outcome").as_deref() == Some("rejected")) {
        let outcome: millrace_schemas::Outcome =
            schema.decode(&told.payload().expect("a value")[5..]).expect("an outcome");
        assert_eq!(outcome.code.as_deref(), Some("command_id_reused"));
    }
    let stored = world.outcome("taken").await;
    assert_eq!(stored["outcome"], "accepted", "the first keeps its outcome");
    let db = world.pool(1).get().await.expect("Postgres");
    let row = db.query_one("SELECT count(*) FROM events", &[]).await.expect("events");
    assert_eq!(row.get::<_, i64>(0), 1);
}
