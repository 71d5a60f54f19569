//! A client of the log as other people would write it, without Millrace's Kafka code.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_domains::ledger::Ledger;
use millrace_schemas::{Codec, Registry, Topic, framing};
use millrace_writer::Domain;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::world::{World, wait_for};

/// A client of one test's log.
pub struct Client {
    pub producer: FutureProducer,
    bootstrap: String,
    commands: String,
}

/// A command as JSON.
#[derive(Debug, Clone)]
pub struct JsonCommand {
    pub id: String,
    pub name: &'static str,
    pub key: String,
    pub data: Value,
    pub headers: Vec<(&'static str, String)>,
}

impl JsonCommand {
    pub fn open(id: impl Into<String>, account_id: &str, limit: Option<i64>) -> Self {
        let data = json!({"account_id": account_id, "currency": "CZK", "overdraft_limit_minor": limit});
        Self { id: id.into(), name: "OpenAccount", key: format!("account-{account_id}"), data, headers: vec![] }
    }

    pub fn post(id: impl Into<String>, entries: &[(&str, i64)]) -> Self {
        let id = id.into();
        let key = format!("account-{}", entries[0].0);
        let entries = entries.iter().map(|(account, amount)| json!({"account_id": account, "amount_minor": amount}));
        let data = json!({
            "entry_set_id": id, "reporting_at": 725_846_400_000_000_i64, "description": "a test's entry set",
            "entries": entries.collect::<Vec<_>>(),
        });
        Self { id, name: "PostEntrySet", key, data, headers: vec![] }
    }

    pub fn close(id: impl Into<String>, account_id: &str) -> Self {
        let data = json!({"account_id": account_id});
        Self { id: id.into(), name: "CloseAccount", key: format!("account-{account_id}"), data, headers: vec![] }
    }

    pub fn expecting(mut self, version: &str) -> Self {
        self.headers.push(("expected-version", version.to_owned()));
        self
    }
}

impl Client {
    pub fn new(world: &World) -> Self {
        Self::of_log(world, &world.log.commands_topic())
    }

    /// A client of another log, whose command topic this is.
    pub fn of_log(world: &World, commands: &str) -> Self {
        let bootstrap = world.stack.addresses().kafka_bootstrap.clone();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1")
            .create();
        Self { producer: producer.expect("a producer"), bootstrap, commands: commands.to_owned() }
    }

    /// Sends a JSON command and waits until Kafka has it.
    pub async fn send(&self, command: &JsonCommand) {
        self.send_all(std::slice::from_ref(command)).await;
    }

    /// Sends JSON commands in this order and waits until Kafka has all.
    pub async fn send_all(&self, commands: &[JsonCommand]) {
        let sent = commands.iter().map(|command| {
            let headers = text_headers(&[
                ("ce_id", &command.id),
                ("ce_type", command.name),
                ("content-type", "application/json"),
            ]);
            let more = command.headers.iter();
            let headers =
                more.fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
            self.enqueue(Some(&command.key), Some(command.data.to_string().as_bytes()), headers)
        });
        for delivery in sent.collect::<Vec<_>>() {
            delivery.await.expect("the producer lives").expect("Kafka takes it");
        }
    }

    /// Sends any record and waits until Kafka has it.
    pub async fn send_raw(&self, key: Option<&str>, value: Option<&[u8]>, headers: OwnedHeaders) {
        self.enqueue(key, value, headers).await.expect("the producer lives").expect("Kafka takes it");
    }

    fn enqueue(
        &self,
        key: Option<&str>,
        value: Option<&[u8]>,
        headers: OwnedHeaders,
    ) -> rdkafka::producer::DeliveryFuture {
        let mut record: FutureRecord<'_, str, [u8]> = FutureRecord::to(&self.commands).headers(headers);
        record.key = key;
        record.payload = value;
        self.producer.send_result(record).map_err(|(error, _)| error).expect("the producer's queue has room")
    }

    /// All records that a topic holds now, by partition.
    pub async fn read(&self, topic: &str) -> BTreeMap<i32, Vec<OwnedMessage>> {
        let (bootstrap, topic) = (self.bootstrap.clone(), topic.to_owned());
        tokio::task::spawn_blocking(move || read_topic(&bootstrap, &topic)).await.expect("reading")
    }

    /// Waits until a topic holds so many records, and returns them.
    pub async fn read_at_least(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        wait_for(&format!("{topic} holds {count} records"), async || {
            let records: Vec<OwnedMessage> = self.read(topic).await.into_values().flatten().collect();
            (records.len() >= count).then_some(records)
        })
        .await
    }
}

fn read_topic(bootstrap: &str, topic: &str) -> BTreeMap<i32, Vec<OwnedMessage>> {
    let config = ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", "a.test").clone();
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let patience = Duration::from_secs(20);
    let metadata = consumer.fetch_metadata(Some(topic), patience).expect("metadata");
    let mut read = BTreeMap::new();
    let mut list = TopicPartitionList::new();
    let mut missing = 0;
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = watermarks(&consumer, topic, partition.id(), patience);
        list.add_partition_offset(topic, partition.id(), Offset::Offset(low)).expect("an offset");
        read.insert(partition.id(), (high, Vec::new()));
        missing += high - low;
    }
    consumer.assign(&list).expect("assigned");
    while missing > 0 {
        let message = consumer.poll(patience).expect("a record").expect("a record");
        let (high, records) = read.get_mut(&message.partition()).expect("a partition of the topic");
        // records that came after we asked for the ends belong to the next read
        if message.offset() < *high {
            records.push(message.detach());
            missing -= 1;
        }
    }
    read.into_iter().map(|(partition, (_, records))| (partition, records)).collect()
}

/// A partition's first and next offset. Waits, because a broker that has just come back may not lead its partitions
/// yet.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32, patience: Duration) -> (i64, i64) {
    let deadline = Instant::now() + patience;
    loop {
        match consumer.fetch_watermarks(topic, partition, patience) {
            Ok(watermarks) => return watermarks,
            Err(error) => assert!(Instant::now() < deadline, "no watermarks of {topic} {partition}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kafka headers with these names and texts.
pub fn text_headers(headers: &[(&str, &str)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }))
}

/// The value of a header.
pub fn header(message: &OwnedMessage, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?.value?;
    Some(String::from_utf8_lossy(found).into_owned())
}

/// A codec for the test's log.
pub async fn codec(world: &World) -> Codec {
    let registry = Registry::new(&world.stack.addresses().registry_url).expect("a registry");
    Codec::connect(registry, &world.log, Ledger.definition()).await.expect("the schemas are registered")
}

/// A command in Avro with Confluent framing.
pub fn avro(codec: &Codec, command: &JsonCommand) -> Vec<u8> {
    let schema = codec.newest(Topic::Commands, command.name).expect("a command of the ledger");
    framing::frame(schema.registry_id, &schema.encode_json(&command.data).expect("it fits its schema"))
}
