//! Bad input between good input: no good command is lost, and every bad record is kept with its reason.

use rdkafka::Message;
use rdkafka::message::{Header, OwnedHeaders};

use millrace_domains::ledger::LedgerCommand;
use millrace_schemas::{DecodeError, Topic, framing};

use crate::client::{Client, JsonCommand, avro, codec, header, text_headers};
use crate::raw_record::produce;
use crate::world::{World, wait_until};

crate::promises![
    unreadable_input_of_many_kinds_is_dead_lettered_and_the_commands_between_all_take_effect,
    a_command_cut_short_anywhere_is_unreadable_never_another_command,
    a_header_whose_name_is_no_text_is_dead_lettered_and_stops_nobody,
    a_schema_inside_itself_is_refused_before_its_data_are_read,
    a_record_too_large_for_the_dead_letters_is_noted_there_and_stops_nobody
];

/// Bad input: its dead letter's code, its value, and its headers beside `ce_id`.
type Bad = (&'static str, Option<Vec<u8>>, Vec<(&'static str, String)>);

async fn unreadable_input_of_many_kinds_is_dead_lettered_and_the_commands_between_all_take_effect(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    let codec = codec(&world).await;
    let good = |n: usize| JsonCommand::open(format!("good-{n}"), &format!("g{n}"), None);
    let framed = avro(&codec, &JsonCommand::open("x", "x", None));
    let mut unknown = framed.clone();
    unknown[1..5].copy_from_slice(&9_999_999_u32.to_be_bytes());
    let event = serde_json::json!({"account_id": "x"});
    let schema = codec.newest(Topic::Events, "AccountClosed").expect("an event of the ledger");
    let event = framing::frame(schema.registry_id, &schema.encode_json(&event).expect("an event"));
    let oversized = serde_json::json!({"account_id": "x".repeat(400_000)}).to_string();
    let longest =
        [0_u8, 0, 0, 0].iter().chain(&framed[4..5]).chain(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0x0f]).copied().collect();
    let json = |name: &str| vec![("ce_type", name.to_owned()), ("content-type", "application/json".to_owned())];
    let bad: Vec<Bad> = vec![
        ("no_magic_byte", Some(b"{\"account_id\":\"x\"}".to_vec()), vec![]),
        ("unknown_schema_id", Some(unknown), vec![]),
        ("unknown_schema_id", Some(vec![0, 0xff, 0xff, 0xff, 0xff, 1]), vec![]),
        ("no_datum", Some(framed[..framed.len() - 3].to_vec()), vec![]),
        ("wrong_type", Some(event), vec![]),
        ("oversized", Some(oversized.into_bytes()), json("CloseAccount")),
        ("no_frame", Some(vec![0, 1]), vec![]),
        ("no_value", None, vec![]),
        ("no_datum", Some(longest), vec![]),
        ("trailing_bytes", Some([framed.as_slice(), b"!"].concat()), vec![]),
        ("no_json", Some(b"{\"account_id\":".to_vec()), json("CloseAccount")),
        ("wrong_type", Some(b"{}".to_vec()), json("DeleteEverything")),
        ("no_json", Some(b"{\"account_id\":\"a\",\"account_id\":\"b\"}".to_vec()), json("CloseAccount")),
        ("schema_mismatch", Some(b"{\"account_id\":5}".to_vec()), json("CloseAccount")),
        ("schema_mismatch", Some(b"{\"account_id\":\"\\u0000\"}".to_vec()), json("CloseAccount")),
        ("no_type", Some(b"{}".to_vec()), vec![("content-type", "application/json".to_owned())]),
        ("invalid_expected_version", Some(framed.clone()), vec![("expected-version", "newest".to_owned())]),
        ("invalid_header", Some(framed.clone()), vec![("correlation-id", "x".repeat(201))]),
    ];
    client.send(&good(0)).await;
    for (n, (_, value, headers)) in bad.iter().enumerate() {
        let id = format!("bad-{n}");
        let mut all = vec![("ce_id", id.as_str())];
        all.extend(headers.iter().map(|(key, value)| (*key, value.as_str())));
        client.send_raw(Some("account-x"), value.as_deref(), text_headers(&all)).await;
        client.send(&good(n + 1)).await;
    }
    // without an id nobody gets an outcome, but the dead letter is there
    client.send_raw(None, Some(&framed), OwnedHeaders::new()).await;
    let not_utf8 = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some(&[0xff_u8, 0xfe]) });
    client.send_raw(Some("account-x"), Some(&framed), not_utf8).await;
    client.send(&good(bad.len() + 1)).await;

    world.wait_for_outcomes(bad.len() as i64 + 2).await;
    let letters = client.read_at_least(&world.log.dead_letters_topic(), bad.len() + 2).await;
    assert_eq!(letters.len(), bad.len() + 2);
    for (n, (code, value, _)) in bad.iter().enumerate() {
        let id = format!("bad-{n}");
        let letter =
            letters.iter().find(|letter| header(letter, "ce_id").as_deref() == Some(&id)).expect("a dead letter");
        assert_eq!(header(letter, "kafka_dlt-exception-fqcn").as_deref(), Some(*code), "{id}");
        assert!(header(letter, "kafka_dlt-exception-message").is_some_and(|reason| !reason.is_empty()), "{id}");
        assert_eq!(header(letter, "kafka_dlt-original-topic"), Some(world.log.commands_topic()), "{id}");
        assert_eq!(letter.payload(), value.as_deref(), "{id}: the value is kept as it came");
        let outcome = world.outcome(&id).await;
        assert_eq!((&outcome["outcome"], &outcome["code"]), (&"dead-lettered".into(), &(*code).into()), "{id}");
    }
    for n in 0..=bad.len() + 1 {
        assert_eq!(world.outcome(&format!("good-{n}")).await["outcome"], "accepted");
    }
    let letter = letters.iter().find(|letter| header(letter, "ce_id").as_deref() == Some("bad-11"));
    let message = letter.and_then(|letter| header(letter, "kafka_dlt-exception-message")).unwrap_or_default();
    let known = "DeleteEverything is not one of the log's commands: CloseAccount, OpenAccount, PostEntrySet";
    assert!(message.contains(known), "{message}");
    world.audit().await;
    let listed = world.millrace(&["dead-letters", "list"]).await;
    assert!(listed.contains("unknown_schema_id") && listed.contains("bad-0"), "{listed}");
}

async fn a_command_cut_short_anywhere_is_unreadable_never_another_command(world: World) {
    let codec = codec(&world).await;
    let commands = [
        JsonCommand::open("x", "an account", None),
        JsonCommand::open("x", "an account", Some(70_000)),
        JsonCommand::post("x", &[("an account", 1), ("another", -1)]),
        JsonCommand::close("x", "an account"),
    ];
    for command in &commands {
        let whole = avro(&codec, command);
        let read = async |value: &[u8]| {
            let received = codec.receive(Topic::Commands, value).await?;
            received.check()?;
            LedgerCommand::read(&received).expect("a command of the ledger")
        };
        read(&whole).await.expect("the whole of it");
        for end in 0..whole.len() {
            let cut = read(&whole[..end]).await;
            assert!(matches!(cut, Err(DecodeError::Unreadable { .. })), "{command:?} cut at {end} is {cut:?}");
        }
    }
}

async fn a_header_whose_name_is_no_text_is_dead_lettered_and_stops_nobody(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    let broker = &world.stack.addresses().kafka_bootstrap;
    let opens = |from: usize| {
        let opens = (from..from + 10).map(|n| JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None));
        opens.collect::<Vec<_>>()
    };
    let shown = async |from: usize| {
        for id in (from..from + 10).map(|n| format!("a{n}")) {
            wait_until("reporting shows every account", async || world.balance(&id).await == Some(0)).await;
        }
    };
    client.send_all(&opens(0)).await;
    shown(0).await;
    let headers: [(&[u8], &[u8]); 3] = [(b"ce_id", b"odd"), (b"\xff\xfe", b"x"), (b"correlation-id", b"mine")];
    produce(broker, &world.log.commands_topic(), 0, b"{}", &headers);
    // a foreign record of that kind on the event topic stops no relay, projector, tail or audit either
    produce(broker, &world.log.events_topic(), 1, b"{}", &headers);
    client.send_all(&opens(10)).await;
    shown(10).await;
    let outcome = world.outcome("odd").await;
    assert_eq!((&outcome["outcome"], &outcome["code"]), (&"dead-lettered".into(), &"invalid_header".into()));
    let told = client.read_at_least(&world.log.outcomes_topic(), 21).await;
    let odd = told.iter().find(|outcome| header(outcome, "ce_id").as_deref() == Some("odd")).expect("an outcome");
    assert_eq!(header(odd, "correlation-id").as_deref(), Some("mine"), "who correlates by it hears of it");
    assert!(world.millrace(&["dead-letters", "list"]).await.contains("invalid_header"));
    world.millrace(&["tail", "--from-beginning", "--limit", "21"]).await;
    let (code, printed) = world.try_millrace(&["audit"]).await;
    assert!(code == 1 && printed.contains("partition 1"), "the audit names the foreign record: {printed}");
}

async fn a_schema_inside_itself_is_refused_before_its_data_are_read(world: World) {
    let _writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    let inside = r#"{"type":"record","name":"CloseAccount","namespace":"millrace.ledger","fields":[
        {"name":"account_id","type":"string"},{"name":"next","type":["null","CloseAccount"],"default":null}]}"#;
    let registry = format!("{}/subjects/somebody-elses/versions", world.stack.addresses().registry_url);
    let request = reqwest::Client::new().post(registry).json(&serde_json::json!({"schema": inside}));
    let answer: serde_json::Value = request.send().await.expect("the registry").json().await.expect("an answer");
    let id = u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("registered: {answer}"))).expect("an id");
    // nested as deep as the largest command allows: a recursive reader would overflow the stack
    let mut value = [&[0], id.to_be_bytes().as_slice()].concat();
    value.extend([2, b'x', 2].repeat(80_000));
    client.send_raw(Some("account-x"), Some(&value), text_headers(&[("ce_id", "deep")])).await;
    client.send(&JsonCommand::open("behind", "x", None)).await;
    assert_eq!(world.outcome("behind").await["outcome"], "accepted");
    assert_eq!(world.outcome("deep").await["code"], "no_avro_schema");
}

async fn a_record_too_large_for_the_dead_letters_is_noted_there_and_stops_nobody(world: World) {
    let _writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    // five megabytes that compress to almost nothing: the broker accepts them, because it counts the bytes on the wire
    let generous = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &world.stack.addresses().kafka_bootstrap)
        .set("message.max.bytes", "10000000")
        .set("compression.type", "gzip")
        .create::<rdkafka::producer::FutureProducer>()
        .expect("a producer");
    let huge = vec![b' '; 5_000_000];
    let topic = world.log.commands_topic();
    let record = rdkafka::producer::FutureRecord::to(&topic).key("account-a").payload(&huge);
    let record = record.headers(text_headers(&[("ce_id", "huge")]));
    generous.send(record, std::time::Duration::from_secs(10)).await.expect("Kafka takes it");
    client.send(&JsonCommand::open("behind", "a", None)).await;
    assert_eq!(world.outcome("behind").await["outcome"], "accepted");
    let letters = client.read_at_least(&world.log.dead_letters_topic(), 1).await;
    assert_eq!(header(&letters[0], "kafka_dlt-exception-fqcn").as_deref(), Some("oversized"));
    assert!(header(&letters[0], "millrace-omitted-bytes").is_some_and(|bytes| bytes.starts_with("50000")));
    assert_eq!(world.outcome("huge").await["code"], "oversized");
}
