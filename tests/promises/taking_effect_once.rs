//! Promise 1: no lost and no double command.

use millrace_schemas::Outcome;
use rdkafka::Message;

use crate::client::{Client, JsonCommand, avro, codec, header, text_headers};
use crate::world::{World, wait_until};

crate::promises![
    a_command_sent_three_times_takes_effect_once_and_gets_the_same_outcome_each_time,
    a_refused_command_sent_again_is_refused_in_the_same_words,
    commands_of_two_writers_on_one_hot_account_all_take_effect_once,
    a_single_command_that_comes_to_an_idle_writer_is_not_lost_while_it_waits_for_others
];

async fn a_command_sent_three_times_takes_effect_once_and_gets_the_same_outcome_each_time(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    let codec = codec(&world).await;
    client.send_all(&[JsonCommand::open("open-a", "a", None), JsonCommand::open("open-b", "b", None)]).await;
    world.wait_for_outcomes(2).await;

    let post = JsonCommand::post("the-set", &[("a", 100), ("b", -100)]);
    client.send(&post).await;
    world.outcome("the-set").await;
    // with the other encoding, and with a key that sends it to another partition
    let headers = || text_headers(&[("ce_id", "the-set")]);
    client.send_raw(Some(&post.key), Some(&avro(&codec, &post)), headers()).await;
    client.send_raw(Some("another key"), Some(&avro(&codec, &post)), headers()).await;

    let topic = world.log.outcomes_topic();
    let told = client.read_at_least(&topic, 5).await;
    let of_the_set: Vec<_> = told.iter().filter(|told| told.key() == Some(b"the-set")).collect();
    assert_eq!(of_the_set.len(), 3);
    let mut outcomes = Vec::new();
    for told in of_the_set {
        assert_eq!(header(told, "outcome").as_deref(), Some("accepted"));
        let decoded = codec
            .receive(millrace_schemas::Topic::Outcomes, told.payload().expect("a value"))
            .await
            .expect("an outcome");
        outcomes.push(decoded.read::<Outcome>().expect("an outcome"));
    }
    assert!(outcomes.iter().all(|outcome| outcome == &outcomes[0]), "{outcomes:?}");
    assert!(outcomes[0].token.as_ref().is_some_and(|token| token.starts_with(world.log.as_str())));
    world.audit().await;
    assert_eq!(world.balance("a").await, Some(100));
    assert_eq!(world.balance("b").await, Some(-100));
}

async fn a_refused_command_sent_again_is_refused_in_the_same_words(world: World) {
    let _writer = world.service(&["writer"]).await;
    let client = Client::new(&world);
    client.send_all(&[JsonCommand::open("open-a", "a", Some(0)), JsonCommand::open("open-b", "b", None)]).await;
    world.wait_for_outcomes(2).await;
    let too_much = JsonCommand::post("too-much", &[("a", -1), ("b", 1)]);
    client.send(&too_much).await;
    let first = world.outcome("too-much").await;
    assert_eq!(first["outcome"], "rejected");
    assert_eq!(first["code"], "overdraft_limit_exceeded");
    // now the rules would allow it, but the id has its outcome already
    client.send_all(&[JsonCommand::post("enough", &[("a", 10), ("b", -10)]), too_much]).await;
    client.read_at_least(&world.log.outcomes_topic(), 5).await;
    assert_eq!(world.outcome("too-much").await, first);
}

async fn commands_of_two_writers_on_one_hot_account_all_take_effect_once(world: World) {
    let (services, second) = (world.pipeline().await, world.service(&["writer"]).await);
    let client = Client::new(&world);
    let accounts: Vec<String> = (0..20).map(|n| format!("c{n}")).collect();
    let mut opens = vec![JsonCommand::open("open-hot", "hot", None)];
    opens.extend(accounts.iter().map(|id| JsonCommand::open(format!("open-{id}"), id, None)));
    client.send_all(&opens).await;
    world.wait_for_outcomes(21).await;
    // keyed by the customer, so that both writers get commands; each command touches the hot account
    let sets = |from: usize| {
        let sets = from..from + 500;
        sets.map(|n| JsonCommand::post(format!("set-{n}"), &[(&accounts[n % 20], 1), ("hot", -1)])).collect::<Vec<_>>()
    };
    let mut sent = 0;
    wait_until("both writers have worked, and in each other's way", async || {
        client.send_all(&sets(sent)).await;
        client.send_all(&sets(sent)).await;
        sent += 500;
        let (mut busy, mut conflicts) = (0, 0.0);
        for writer in [&services[0], &second] {
            busy += i32::from(writer.metric("millrace_writer_commands_total").await > 100.0);
            conflicts += writer.metric("millrace_writer_stale_decisions_total").await;
        }
        busy == 2 && conflicts > 0.0
    })
    .await;
    let all = i64::try_from(sent).expect("a count");
    world.wait_for_outcomes(21 + all).await;
    client.read_at_least(&world.log.outcomes_topic(), 21 + 2 * sent).await;
    world.audit().await;
    assert_eq!(world.balance("hot").await, Some(-all));
}

async fn a_single_command_that_comes_to_an_idle_writer_is_not_lost_while_it_waits_for_others(world: World) {
    // an idle writer beats once in this time, because it waits that long for commands to share an append
    let _writer = world.service_with(&["writer"], &[("MILLRACE_BATCH_LINGER_MS", "1000")]).await;
    let client = Client::new(&world);
    for n in 0..4 {
        client.send(&JsonCommand::open(format!("open-{n}"), &format!("a{n}"), None)).await;
        assert_eq!(world.outcome(&format!("open-{n}")).await["outcome"], "accepted");
    }
}
