//! The search read model: words in any order, beginnings, small typos, ranked.

use serde_json::{Value, json};

use crate::client::{Client, JsonCommand};
use crate::world::World;

crate::promises![entries_and_accounts_are_found_by_words_in_any_order_by_beginnings_and_with_small_typos];

async fn entries_and_accounts_are_found_by_words_in_any_order_by_beginnings_and_with_small_typos(world: World) {
    let _services = world.pipeline().await;
    let client = Client::new(&world);
    client.send_all(&[JsonCommand::open("o1", "savings-7", None), JsonCommand::open("o2", "cash", None)]).await;
    world.wait_for_outcomes(2).await;
    let described = |id: &str, description: &str| {
        let mut post = JsonCommand::post(id, &[("savings-7", 1), ("cash", -1)]);
        post.data["description"] = json!(description);
        post
    };
    let descriptions = [
        ("e1", "Household payment (SIPO) to bank YZ, account 87144583"),
        ("e2", "Old-age_pension:from/bank AB"),
        ("e3", "Příliš žluťoučký kůň"),
        ("e4", "payment"),
    ];
    client.send_all(&descriptions.map(|(id, text)| described(id, text))).await;
    world.wait_for_outcomes(6).await;
    world.audit().await;
    for (query, found) in [
        ("household payment", Some("e1")),
        ("PAYMENT sipo Household", Some("e1")),
        ("87144", Some("e1")),
        ("paymnet househld", Some("e1")),
        ("age pension ab", Some("e2")),
        ("pension-old", Some("e2")),
        ("prilis zlutoucky", Some("e3")),
        ("KŮŇ", Some("e3")),
        ("kun zlutouck", Some("e3")),
        ("payment", Some("e4")), // of the two that hold the word, the later one
        ("savings account", Some("savings-7")),
        ("household pension", None),
        ("' OR 1=1 --", None),
        ("\"(&|!:*\\", None),
        ("", None),
        ("🦀", None),
    ] {
        let (code, printed) = world.try_millrace(&["search", query, "--output", "json"]).await;
        let hits: Vec<Value> = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{query:?}: {printed}"));
        assert_eq!(hits.first().and_then(|hit| hit["id"].as_str()), found, "{query:?}: {printed}");
        assert_eq!(code, i32::from(hits.is_empty()), "{query:?}");
    }
}
