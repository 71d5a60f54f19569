//! Decimals, uuids and times in a described log: JSON in, Avro out, and what other people's clients make of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rdkafka::Message;
use serde_json::{Value, json};

use crate::client::{Client, JsonCommand, text_headers};
use crate::own::{Own, event};
use crate::world::World;

crate::promises![decimals_uuids_and_times_are_carried_exactly_from_a_command_to_every_reader];

/// Encodes and decodes with fastavro and the registry's schemas, as a Python program would.
const CLIENT: &str = r#"
import datetime, decimal, fastavro, io, json, sys, urllib.request, uuid
registry, what = sys.argv[1], sys.argv[2]
def ask(path):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{registry}/{path}") as answer:
        return json.load(answer)
if what == "decode":
    value = bytes.fromhex(sys.argv[3])
    schema = json.loads(ask(f"schemas/ids/{int.from_bytes(value[1:5], 'big')}")["schema"])
    record = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema))
    print(json.dumps({name: str(value) for name, value in record.items()}))
else:
    found = ask(f"subjects/{sys.argv[3]}/versions/latest")
    record = {
        "ticket_id": uuid.UUID("0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30"), "price": decimal.Decimal("12.50"),
        "rate": decimal.Decimal("-0.0001"), "fee": decimal.Decimal("0.00"), "discount": None,
        "day": datetime.date(2026, 11, 25), "opens": datetime.time(9, 30), "closes": datetime.time(17, 0, 0, 1),
        "local": datetime.datetime(2026, 11, 25, 9, 30), "at": 1, "expected_version": 0,
    }
    datum = io.BytesIO()
    fastavro.schemaless_writer(datum, fastavro.parse_schema(json.loads(found["schema"])), record)
    print((b"\0" + found["id"].to_bytes(4, "big") + datum.getvalue()).hex())
"#;

const RULES: &str = r#"
[state.ticket]
TicketPriced = { price = "event.price" }

[commands.PriceTicket]
stream = "'ticket-' + string(command.ticket_id)"
expect = "command.expected_version"
reject = [{ when = "has(state.price) && state.price == command.price", code = "same_price", message = "It is {command.price}." }]
emit = [{ event = "TicketPriced", copy = "command", data = { vat = "'2.63'" } }]
"#;

const CASES: &str = r#"
[[case]]
name = "a price is given"
when = { command = "PriceTicket", data = { ticket_id = "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", price = "12.5", rate = "1", day = 0, opens = "09:30:00", local = 0, at = 0 } }
then = [{ stream = "ticket-0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", event = "TicketPriced", data = { ticket_id = "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", price = "12.50", rate = "1", day = "1970-01-01", opens = 34200000, local = 0, at = 0, vat = "2.63" } }]
"#;

fn fields() -> Vec<Value> {
    let decimal = |precision: i32, scale: i32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
    let of = |type_: &str, logical: &str| json!({"type": type_, "logicalType": logical});
    let rate =
        json!({"type": "fixed", "name": "Rate", "size": 8, "logicalType": "decimal", "precision": 12, "scale": 4});
    vec![
        json!({"name": "ticket_id", "type": of("string", "uuid")}),
        json!({"name": "price", "type": decimal(10, 2)}),
        json!({"name": "rate", "type": rate}),
        json!({"name": "fee", "type": decimal(6, 2), "default": "\u{0}"}),
        json!({"name": "discount", "type": ["null", decimal(4, 1)], "default": null}),
        json!({"name": "day", "type": of("int", "date")}),
        json!({"name": "opens", "type": of("int", "time-millis")}),
        json!({"name": "closes", "type": ["null", of("long", "time-micros")], "default": null}),
        json!({"name": "local", "type": of("long", "local-timestamp-millis")}),
        json!({"name": "at", "type": of("long", "timestamp-nanos")}),
    ]
}

/// The folder of a log whose one command becomes an event with the same fields.
fn write_folder(own: &Own<'_>) {
    let (mut asked, mut happens) = (fields(), fields());
    asked.push(json!({"name": "expected_version", "type": ["null", "long"], "default": null}));
    happens
        .push(json!({"name": "vat", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}}));
    for folder in ["commands", "cases"] {
        fs::create_dir_all(own.dir.join(folder)).expect("a folder");
    }
    own.write("commands/PriceTicket.avsc", &event("PriceTicket", json!(asked)));
    own.write("events/TicketPriced.avsc", &event("TicketPriced", json!(happens)));
    fs::write(own.dir.join("domain.toml"), RULES).expect("the folder can be written");
    fs::write(own.dir.join("cases/prices.toml"), CASES).expect("the folder can be written");
}

/// A Python with fastavro.
struct Python {
    folder: PathBuf,
    registry: String,
}

impl Python {
    fn new(world: &World) -> Self {
        let folder = std::env::temp_dir().join(format!("fastavro-{}", world.log));
        let install = "python3 -m venv \"$0\" && \"$0\"/bin/pip install --quiet fastavro";
        let made = Command::new("bash").args(["-c", install]).arg(&folder).stdin(Stdio::null()).status();
        assert!(made.expect("bash").success(), "fastavro can't be installed");
        Self { folder, registry: world.stack.addresses().registry_url.clone() }
    }

    fn run(&self, what: &str, argument: &str) -> String {
        let mut python = Command::new(self.folder.join("bin/python"));
        let ran = python.args(["-c", CLIENT, &self.registry, what, argument]).stderr(Stdio::inherit()).output();
        let ran = ran.expect("Python");
        assert!(ran.status.success(), "{what} fails");
        String::from_utf8(ran.stdout).expect("UTF-8").trim().to_owned()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn command(id: &str, more: Value) -> JsonCommand {
    let mut data = json!({
        "ticket_id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "price": "12.5", "rate": "-0.0001", "day": "2026-11-25",
        "opens": "09:30:00", "closes": "17:00:00.000001", "local": "2026-11-25T09:30:00",
        "at": "1970-01-01T00:00:00.000000001Z", "expected_version": 0,
    });
    for (name, value) in more.as_object().expect("fields") {
        data[name] = value.clone();
    }
    let key = "ticket-0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30".to_owned();
    JsonCommand { id: id.to_owned(), name: "PriceTicket", key, data, headers: vec![] }
}

async fn decimals_uuids_and_times_are_carried_exactly_from_a_command_to_every_reader(world: World) {
    let own = Own::new(&world);
    write_folder(&own);
    own.applied().await;
    let _writer = world.service(&["writer", "--log", &own.log]).await;
    let _relay = world.service(&["relay", "--log", &own.log]).await;
    let first = command("first", json!({}));
    let accepted = own.ask(&first).await;
    assert_eq!(accepted["outcome"], "accepted", "{accepted}");

    let client = Client::of_log(&world, &format!("{}.commands", own.log));
    let published = client.read_at_least(&format!("{}.events", own.log), 1).await;
    let python = Python::new(&world);
    let decoded = python.run("decode", &hex(published[0].payload().expect("a value")));
    let expected = json!({
        "ticket_id": "0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30", "price": "12.50", "rate": "-0.0001", "fee": "0.00",
        "discount": "None", "day": "2026-11-25", "opens": "09:30:00", "closes": "17:00:00.000001",
        "local": "2026-11-25 09:30:00", "at": "1", "vat": "2.63",
    });
    assert_eq!(serde_json::from_str::<Value>(&decoded).expect("JSON"), expected);

    // the same command in Avro, from another program, has the same content
    let subject = format!("{}.commands-helpdesk.PriceTicket", own.log);
    let framed = unhex(&python.run("encode", &subject));
    client.send_raw(Some(&first.key), Some(&framed), text_headers(&[("ce_id", "first")])).await;
    // and as a command of its own, it comes too late
    client.send_raw(Some(&first.key), Some(&framed), text_headers(&[("ce_id", "late")])).await;
    let late = own.outcome("late").await;
    let stream = "ticket-0b5c24a1-9d2e-4f4a-8a53-6d0b7c1e2f30";
    let message = format!("Stream {stream} is at version 1; the command expected no-stream.");
    assert_eq!((&late["outcome"], &late["code"]), (&json!("conflict"), &json!("version_conflict")), "{late}");
    assert_eq!(late["message"], message);
    assert_eq!(own.outcome("first").await, accepted);
    let told = client.read_at_least(&format!("{}.outcomes", own.log), 3).await;
    let reused =
        told.iter().filter(|outcome| String::from_utf8_lossy(outcome.payload().expect("a value")).contains("reused"));
    assert_eq!(reused.count(), 0, "the first command came again");

    let same = own.ask(&command("same", json!({"expected_version": 1}))).await;
    assert_eq!((&same["code"], &same["message"]), (&json!("same_price"), &json!("It is 12.50.")), "{same}");
    let rounded = own.ask(&command("rounded", json!({"price": "12.505"}))).await;
    assert_eq!((&rounded["outcome"], &rounded["code"]), (&json!("dead-lettered"), &json!("schema_mismatch")));

    for arguments in [&["events", "--log", &own.log][..], &["stream", "show", "--log", &own.log, stream]] {
        for output in ["text", "json"] {
            let shown = world.millrace(&[arguments, &["--output", output]].concat()).await;
            assert!(shown.contains("12.50") && shown.contains("-0.0001") && shown.contains("34200000"), "{shown}");
        }
    }
    world.millrace(&["log", "check", &own.log]).await;
    own.drop_log().await;
}
