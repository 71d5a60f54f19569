//! temporary
use millrace_compose::*;
use millrace_runtime::kafka::*;
use millrace_runtime::*;
use millrace_schemas::*;
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn headers_of(id: &str, pos: i64, version: i64, time: &str, ty: &str) -> OwnedHeaders {
    let mut h = OwnedHeaders::new();
    for (k, v) in [
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_type", ty),
        ("ce_source", "ledger"),
        ("ce_subject", "x"),
        ("ce_time", time),
        ("correlation-id", id),
        ("causation-id", id),
    ] {
        h = h.insert(Header { key: k, value: Some(v) });
    }
    h.insert(Header { key: "stream-version", value: Some(&version.to_string()) })
        .insert(Header { key: "log-position", value: Some(&pos.to_string()) })
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args[0] == "up" {
        let o = StackOptions {
            data_dir: "/tmp/projstack".into(),
            cache_dir: PathBuf::from("/var/cache/millrace"),
            ports: Ports::ANY,
        };
        let s = Stack::up(&o, &Silent).await.unwrap();
        let a = s.addresses();
        println!(
            "export MILLRACE_POSTGRES_URL='{}' MILLRACE_KAFKA_BOOTSTRAP='{}' MILLRACE_REGISTRY_URL='{}'",
            a.postgres_url, a.kafka_bootstrap, a.registry_url
        );
        return;
    }
    if args[0] == "down" {
        let s = Stack::open("/tmp/projstack".as_ref()).unwrap();
        s.destroy().await.unwrap();
        return;
    }
    let settings = Settings::load(None, &Overrides::default()).unwrap();
    init_telemetry(settings.log_format);
    let log: LogName = settings.log.parse().unwrap();
    let registry = Registry::new(settings.registry_url().unwrap()).unwrap();
    let config = postgres::config(settings.postgres_url().unwrap()).unwrap();
    match args[0].as_str() {
        "prepare" => {
            registry.register(&log, Contract::ledger()).await.unwrap();
            create_topics(
                &client_config(&settings).unwrap(),
                &[TopicSpec { name: log.events_topic(), partitions: 12, replication_factor: -1, settings: vec![] }],
            )
            .await
            .unwrap();
            let (mut c, conn) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(conn);
            millrace_projectors::migrate(&mut c).await.unwrap();
            millrace_projectors::migrate(&mut c).await.unwrap();
        }
        "produce" => {
            // produce COUNT RATE: entries from docs.tsv; positions go on after the topic's end (offset == position-1)
            let count: usize = args[1].parse().unwrap();
            let rate: u64 = args[2].parse().unwrap();
            let codec = Codec::connect(registry, &log, Contract::ledger()).await.unwrap();
            let outbox = Outbox::new(&producer_config(&settings).unwrap()).unwrap();
            let topic = log.events_topic();
            let probe = Inbox::join(&consumer_config(&settings, "probe").unwrap(), "none-such").unwrap();
            let _ = &probe;
            let c: rdkafka::consumer::BaseConsumer = client_config(&settings).unwrap().create().unwrap();
            use rdkafka::consumer::Consumer;
            let mut pos: Vec<i64> =
                (0..12).map(|p| c.fetch_watermarks(&topic, p, Duration::from_secs(5)).unwrap().1).collect();
            let text = std::fs::read_to_string("/tmp/docs.tsv").unwrap();
            let lines: Vec<&str> = text.lines().filter(|l| l.contains("\tentry\t")).collect();
            let start = Instant::now();
            let mut batch = Vec::new();
            for i in 0..count {
                let f: Vec<&str> = lines[i % lines.len()].split('\t').collect();
                let stream: StreamId = format!("account-{}", f[5]).parse().unwrap();
                let p = partition_of(&stream, 12);
                pos[p as usize] += 1;
                let ev = json!({"entry_set_id": f[4], "account_id": f[5], "amount_minor": f[7].parse::<i64>().unwrap(), "reporting_at": format!("{}T00:00:00Z", f[9]), "description": f[6], "currency": "CZK"});
                let value = codec.encode_json(Topic::Events, "EntryPosted", &ev).unwrap();
                batch.push((
                    p,
                    stream,
                    value,
                    headers_of(
                        &uuid::Uuid::now_v7().to_string(),
                        pos[p as usize],
                        1,
                        &jiff::Timestamp::now().to_string(),
                        "EntryPosted",
                    ),
                ));
                let size = if rate == 0 { 1000 } else { 1 };
                if batch.len() >= size || i + 1 == count {
                    outbox
                        .deliver(batch.iter().map(|(p, s, v, h)| Outgoing {
                            topic: &topic,
                            partition: Some(*p),
                            key: Some(s.as_str().as_bytes()),
                            value: Some(v),
                            headers: h.clone(),
                            timestamp: None,
                        }))
                        .await
                        .unwrap();
                    batch.clear();
                }
                if rate > 0 {
                    tokio::time::sleep_until((start + Duration::from_micros(1_000_000 * (i as u64 + 1) / rate)).into())
                        .await;
                }
            }
            eprintln!("produced {count} in {:?}", start.elapsed());
        }
        "raw" => {
            // raw PARTITION POSITION AMOUNT [garbage|foreign]
            let p: i32 = args[1].parse().unwrap();
            let position: i64 = args[2].parse().unwrap();
            let amount: i64 = args[3].parse().unwrap();
            let kind = args.get(4).map(String::as_str).unwrap_or("");
            let codec = Codec::connect(registry, &log, Contract::ledger()).await.unwrap();
            let outbox = Outbox::new(&producer_config(&settings).unwrap()).unwrap();
            let topic = log.events_topic();
            let ev = json!({"entry_set_id": "raw", "account_id": format!("raw-{p}"), "amount_minor": amount, "reporting_at": 0, "description": "raw", "currency": "CZK"});
            let mut value = codec.encode_json(Topic::Events, "EntryPosted", &ev).unwrap();
            if kind == "garbage" {
                value = b"garbage".to_vec();
            }
            let mut h = headers_of(
                &uuid::Uuid::now_v7().to_string(),
                position,
                1,
                &jiff::Timestamp::now().to_string(),
                "EntryPosted",
            );
            if kind == "foreign" {
                h = OwnedHeaders::new();
            }
            let d = outbox
                .deliver([Outgoing {
                    topic: &topic,
                    partition: Some(p),
                    key: Some(format!("account-raw-{p}").as_bytes()),
                    value: Some(&value),
                    headers: h,
                    timestamp: None,
                }])
                .await
                .unwrap();
            eprintln!("{d:?}");
        }
        "run" => {
            // run NAME SECONDS
            let shutdown = Shutdown::new();
            let s2 = shutdown.clone();
            let secs: u64 = args[2].parse().unwrap();
            let name = args[1].clone();
            let health = Health::default();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(secs)).await;
                shutdown.cancel();
            });
            let t = Instant::now();
            millrace_projectors::run(&name, &settings, health, s2).await.unwrap();
            eprintln!("stopped in {:?}", t.elapsed());
            let m = prometheus::TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap();
            for l in m.lines().filter(|l| {
                !l.starts_with('#')
                    && (l.contains("commit_to_visible")
                        || l.contains("_gaps")
                        || l.contains("dupl")
                        || l.contains("stopped")
                        || l.contains("foreign")
                        || l.contains("retries")
                        || l.contains("apply_seconds_") && !l.contains("bucket")
                        || l.contains("resident"))
            }) {
                eprintln!("{l}");
            }
        }
        "audit" => {
            let (mut c, conn) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(conn);
            let s = millrace_projectors::reporting::ReportingSnapshot::read(&mut c, &log).await.unwrap();
            let n: i64 = s.balances.values().map(|b| b.entries).sum();
            let sum: i128 = s.balances.values().map(|b| i128::from(b.balance_minor)).sum();
            let d: i64 = s.daily.values().map(|b| b.entries).sum();
            let dsum: i128 = s.daily.values().map(|b| b.credits_minor - b.debits_minor).sum();
            println!(
                "reporting: accounts {} entries {n} sum {sum}; days {} entries {d} sum {dsum}; checkpoints total {}",
                s.balances.len(),
                s.daily.len(),
                s.checkpoints.values().sum::<i64>()
            );
            let cp = millrace_projectors::checkpoints(&c, "search", &log).await.unwrap();
            println!("search checkpoints total {}", cp.values().sum::<i64>());
        }
        "find" => {
            let (c, conn) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(conn);
            let t = Instant::now();
            for h in millrace_projectors::search::find(&c, &args[1], 5).await.unwrap() {
                println!("{h:?}");
            }
            println!("{:?}", t.elapsed());
        }
        _ => panic!(),
    }
}
