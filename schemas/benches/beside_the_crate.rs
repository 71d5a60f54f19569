//! Decodes and encodes one event in our way, and in that of schema_registry_converter, in turn (decision 14):
//! `cargo bench -p millrace-schemas`.

use std::hint::black_box;
use std::time::Instant;

use millrace_schemas::{RecordSchema, Topic, framing};
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SCHEMA: &str = include_str!("../ledger/events/EntryPosted.avsc");
const ID: u32 = 7;
const TIMES: u32 = 200_000;
const ROUNDS: usize = 5;

#[derive(Serialize, Deserialize)]
struct EntryPosted {
    entry_set_id: String,
    account_id: String,
    amount_minor: i64,
    reporting_at: i64,
    description: String,
    currency: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let settings = SrSettings::new(registry_of_one_schema().await);
    let (decoder, encoder) = (AvroDecoder::new(settings.clone()), AvroEncoder::new(settings));
    let subject = SubjectNameStrategy::RecordNameStrategy("bench.events-ledger.EntryPosted".to_owned());
    let ours = RecordSchema::parse(Topic::Events, ID, SCHEMA).expect("a schema");
    let event = EntryPosted {
        entry_set_id: "set-000000000001".to_owned(),
        account_id: "00001".to_owned(),
        amount_minor: 12_345,
        reporting_at: 1_767_225_600_000_000,
        description: "x".repeat(104),
        currency: "EUR".to_owned(),
    };
    let framed = ours.encode_framed(&event).expect("an event of the schema");
    for round in 1..=ROUNDS {
        let start = Instant::now();
        for _ in 0..TIMES {
            let decoded = decoder.decode(Some(&framed)).await.expect("an event");
            black_box(apache_avro::from_value::<EntryPosted>(&decoded.value).expect("of this type"));
        }
        let decoded_by_it = each(start);
        let start = Instant::now();
        for _ in 0..TIMES {
            let (_, datum) = framing::unframe(&framed).expect("framed");
            black_box(ours.decode::<EntryPosted>(datum).expect("of this type"));
        }
        let decoded_by_us = each(start);
        let start = Instant::now();
        for _ in 0..TIMES {
            black_box(encoder.encode_struct(&event, &subject).await.expect("an event"));
        }
        let encoded_by_it = each(start);
        let start = Instant::now();
        for _ in 0..TIMES {
            black_box(ours.encode_framed(&event).expect("an event"));
        }
        let encoded_by_us = each(start);
        println!(
            "round {round}: decode {decoded_by_it} ns by the crate, {decoded_by_us} ns by us; \
             encode {encoded_by_it} ns by the crate, {encoded_by_us} ns by us"
        );
    }
}

/// Nanoseconds that one of the times took.
fn each(start: Instant) -> u128 {
    start.elapsed().as_nanos() / u128::from(TIMES)
}

/// Starts a registry whose answer to everything is the schema, and returns its address. Both clients ask once, before
/// they have it in their caches.
async fn registry_of_one_schema() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let body = serde_json::json!({"id": ID, "version": 1, "subject": "any", "schema": SCHEMA, "schemaType": "AVRO"});
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length:";
    let answer = format!("{head} {}\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut request = [0; 4096];
            // a request without a body comes in one piece
            let _ = client.read(&mut request).await.expect("a request");
            client.write_all(answer.as_bytes()).await.expect("it takes the answer");
        }
    });
    format!("http://{address}")
}
