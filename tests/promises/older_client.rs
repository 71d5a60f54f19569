//! A client with an older version of a command, whose schema the services have never seen.

use millrace_schemas::Codec;
use serde_json::{Value, json};

use crate::client::{JsonCommand, avro};
use crate::world::World;

/// Registers the older version, and returns the command to close an account in it.
pub async fn close_in_an_older_version(world: &World, codec: &Codec, account_id: &str) -> Vec<u8> {
    let older = r#"{"type":"record","name":"CloseAccount","namespace":"millrace.ledger","fields":[
        {"name":"account_id","type":"string"},{"name":"reason","type":["null","string"],"default":null}]}"#;
    let registry = &world.stack.addresses().registry_url;
    let subject = format!("{}.commands-millrace.ledger.CloseAccount", world.log);
    let request = reqwest::Client::new().post(format!("{registry}/subjects/{subject}/versions"));
    let answer = request.json(&json!({"schema": older})).send().await.expect("the registry");
    let answer: Value = answer.json().await.expect("an answer");
    let id = answer["id"].as_u64().unwrap_or_else(|| panic!("registered: {answer}"));
    let mut value = avro(codec, &JsonCommand::close("close", account_id));
    value[1..5].copy_from_slice(&u32::try_from(id).expect("an id").to_be_bytes());
    value.push(0); // reason: null
    value
}
