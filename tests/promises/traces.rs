//! Follows one command through the pipeline: by its trace, and by the services' logs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use prost::Message;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::client::{Client, JsonCommand, text_headers};
use crate::service::Service;
use crate::world::{World, wait_for, wait_until};

crate::promises![
    a_command_that_its_sender_traces_gets_a_span_in_every_service_and_no_other_gets_one,
    a_collector_that_is_not_there_is_told_of_once_and_changes_nothing,
    what_is_logged_of_one_command_carries_its_correlation_id
];

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";

/// A span that the collector received.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace: String,
    parent: String,
    times: (u64, u64),
    attributes: BTreeMap<String, String>,
}

/// An OTLP collector that keeps the spans.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Collector {
    async fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let routes = Router::new().route("/v1/traces", post(take)).with_state(spans.clone());
        let task = tokio::spawn(axum::serve(listener, routes).into_future());
        Self { address, spans, task }
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    for resource in request.resource_spans {
        let resource_attributes = texts(&resource.resource.expect("a resource").attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let span = Span {
                service: resource_attributes["service.name"].clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                parent: hex(&span.parent_span_id),
                times: (span.start_time_unix_nano, span.end_time_unix_nano),
                attributes: texts(&span.attributes),
            };
            spans.lock().expect("nobody panics with it").push(span);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: AnyValue| match value {
        AnyValue::StringValue(text) => text,
        AnyValue::IntValue(number) => number.to_string(),
        other => panic!("{other:?} is neither a text nor a number"),
    };
    let value = |attribute: &KeyValue| text(attribute.value.clone().and_then(|any| any.value).expect("a value"));
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute))).collect()
}

async fn services(world: &World, environment: &[(&str, &str)]) -> Vec<Service> {
    let (writer, relay, reporting, search) = tokio::join!(
        world.service_with(&["writer"], environment),
        world.service_with(&["relay"], environment),
        world.service_with(&["projector", "reporting"], environment),
        world.service_with(&["projector", "search"], environment),
    );
    vec![writer, relay, reporting, search]
}

fn open(account: &str, traceparent: Option<String>) -> JsonCommand {
    let mut command = JsonCommand::open(format!("open-{account}"), account, None);
    command.headers.extend(traceparent.map(|traceparent| ("traceparent", traceparent)));
    command
}

async fn a_command_that_its_sender_traces_gets_a_span_in_every_service_and_no_other_gets_one(world: World) {
    let collector = Collector::listen().await;
    let endpoint = format!("http://{}", collector.address);
    let mut services = services(&world, &[("MILLRACE_OTLP_ENDPOINT", &endpoint)]).await;
    let mut traced = open("traced", Some(format!("00-{TRACE}-{SENDER}-01")));
    traced.headers.push(("correlation-id", "spring-cleaning".to_owned()));
    let commands = [
        open("untraced", None),
        open("unrecorded", Some("00-11111111111111111111111111111111-2222222222222222-00".to_owned())),
        open("misspelt", Some("not a traceparent".to_owned())),
        traced,
    ];
    Client::new(&world).send_all(&commands).await;
    world.wait_for_outcomes(4).await;
    world.audit().await; // every projector has applied everything
    for service in &mut services {
        assert_eq!(service.leave().await, Some(0)); // its last spans go out before
    }

    let spans = collector.spans();
    let found: BTreeSet<(&str, &str)> = spans.iter().map(|span| (&*span.service, &*span.name)).collect();
    let expected = [
        ("millrace-relay", "publish"),
        ("millrace-reporting", "apply"),
        ("millrace-search", "apply"),
        ("millrace-writer", "append"),
        ("millrace-writer", "decide"),
    ];
    assert_eq!((found, spans.len()), (BTreeSet::from(expected), 5), "each once, and nothing else: {spans:#?}");
    let token = world.outcome("open-traced").await["token"].as_str().expect("a token").to_owned();
    for span in &spans {
        assert_eq!((&*span.trace, &*span.parent), (TRACE, SENDER), "{span:?}");
        assert!(span.times.0 <= span.times.1, "{span:?}");
        let attribute = |name: &str| span.attributes.get(&format!("millrace.{name}")).map_or("", |text| text.as_str());
        assert_eq!(
            [attribute("log"), attribute("command_id"), attribute("correlation_id"), attribute("stream_id")],
            [world.log.as_str(), "open-traced", "spring-cleaning", "account-traced"]
        );
        match span.name.as_str() {
            "decide" => {}
            "append" => assert_eq!((attribute("outcome"), attribute("token")), ("accepted", &*token)),
            _ => {
                let place = format!("{}/{}@{}", world.log, attribute("partition"), attribute("position"));
                assert_eq!(place, token, "{span:?}");
            }
        }
    }
    let start = |name: &str| spans.iter().find(|span| span.name == name).map(|span| span.times.0);
    assert!(start("decide") <= start("append") && start("append") <= start("publish"), "{spans:#?}");
}

async fn a_collector_that_is_not_there_is_told_of_once_and_changes_nothing(world: World) {
    let endpoint = format!("http://{}", Collector::listen().await.address); // gone again
    let environment = [("MILLRACE_OTLP_ENDPOINT", endpoint.as_str()), ("MILLRACE_LOG_FORMAT", "json")];
    let mut services = services(&world, &environment).await;
    let traceparent = || Some(format!("00-{TRACE}-{SENDER}-01"));
    let client = Client::new(&world);
    let told = |service: &Service| {
        let lines = lines(service);
        lines.iter().filter(|line| line["target"] == "millrace_runtime::otlp" && line["level"] == "WARN").count()
    };
    for round in 0..3 {
        let commands: Vec<JsonCommand> = (0..200).map(|n| open(&format!("a{round}-{n}"), traceparent())).collect();
        client.send_all(&commands).await;
        world.wait_for_outcomes(200 * (round + 1)).await;
        world.audit().await;
        wait_until("every service has met the silence", async || services.iter().all(|one| told(one) > 0)).await;
    }
    for service in &mut services {
        assert_eq!(service.leave().await, Some(0));
        assert_eq!(told(service), 1, "{}", service.log());
    }
}

async fn what_is_logged_of_one_command_carries_its_correlation_id(world: World) {
    let environment = [("MILLRACE_LOG_FORMAT", "json"), ("RUST_LOG", "info,millrace_writer=debug")];
    let writer = world.service_with(&["writer"], &environment).await;
    let headers = text_headers(&[
        ("ce_id", "broken"),
        ("ce_type", "OpenAccount"),
        ("content-type", "application/json"),
        ("correlation-id", "spring-cleaning"),
    ]);
    Client::new(&world).send_raw(Some("account-1"), Some(b"not JSON"), headers).await;
    let line = wait_for("the dead letter is logged", async || {
        lines(&writer).into_iter().find(|line| line["fields"]["message"] == "dead-lettered")
    })
    .await;
    assert_eq!(
        [&line["fields"]["command_id"], &line["fields"]["correlation_id"], &line["fields"]["code"]],
        ["broken", "spring-cleaning", "no_json"]
    );
}

/// The lines of a service's log, which must be JSON. Ignores a last line that is not complete yet.
fn lines(service: &Service) -> Vec<Value> {
    let log = service.log();
    let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("this line is not JSON: {line}"))).collect()
}
