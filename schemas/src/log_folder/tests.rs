use std::fs;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::*;
use crate::Topic;

const LOG_TOML: &str = "name = \"orders\"\nstream_types = [\"order\"]\n";

/// The text of a record's schema.
fn record(name: &str, fields: &Json) -> String {
    json!({"type": "record", "name": name, "namespace": "shop", "fields": fields}).to_string()
}

fn id() -> Json {
    json!({"name": "id", "type": "string"})
}

fn note() -> Json {
    json!({"name": "note", "type": ["null", "string"], "default": null})
}

/// A log with one event, and these files more, or instead.
fn files(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let placed = record("OrderPlaced", &json!([id()]));
    let files = [("log.toml", LOG_TOML), ("events/OrderPlaced.avsc", placed.as_str())];
    files.iter().chain(more).map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn problems(more: &[(&str, &str)]) -> Vec<String> {
    match LogFolder::from_files(files(more)) {
        Ok(_) => vec![],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// Checks that the files give exactly one problem, with these words.
#[track_caller]
fn refused(more: &[(&str, &str)], expected: &str) {
    let found = problems(more);
    assert!(found.len() == 1 && found[0].contains(expected), "{expected:?} is not the problem: {found:#?}");
}

/// Checks that an event with these fields gives exactly one problem, with these words.
#[track_caller]
fn event_refused(fields: Json, expected: &str) {
    refused(&[("events/OrderPaid.avsc", &record("OrderPaid", &fields))], expected);
}

#[test]
fn a_folder_becomes_a_definition_with_all_versions() {
    let [one, two, three] =
        [json!([id()]), json!([id(), note()]), json!([id(), {"name": "n", "type": "int", "default": 0}])]
            .map(|fields| record("OrderPaid", &fields));
    let folder = LogFolder::from_files(files(&[
        ("events/OrderPaid.v1.avsc", &one),
        ("events/OrderPaid.v2.avsc", &two),
        ("events/OrderPaid.avsc", &three),
        ("README.md", "what it is for"),
        ("events/README.md", "too"),
    ]));
    let folder = folder.unwrap();
    assert_eq!(
        (folder.name.as_str(), folder.partitions, &*folder.definition.stream_types),
        ("orders", 12, &["order".to_owned()][..])
    );
    assert!(!folder.files.contains_key("README.md"), "it does not describe the log");
    let paid = folder.definition.record(Topic::Events, "OrderPaid").unwrap();
    let versions: Vec<&str> = folder.versions(paid).map(|version| version.text.as_str()).collect();
    assert_eq!(versions, [&one, &two, &three]);
    assert_eq!(folder.file_of(folder.versions(paid).next().unwrap()), Some("events/OrderPaid.v1.avsc"));
    let append = folder.definition.record(Topic::Commands, "Append").expect("a log without rules has it");
    assert_eq!((folder.versions(append).count(), folder.file_of(append)), (1, None));
}

#[test]
fn a_log_with_rules_has_no_append() {
    let place = record("PlaceOrder", &json!([id()]));
    let folder = LogFolder::from_files(files(&[("domain.toml", ""), ("commands/PlaceOrder.avsc", &place)])).unwrap();
    assert!(folder.definition.record(Topic::Commands, "Append").is_none());
    assert_eq!(folder.domain(), Some(""));
}

#[test]
fn all_problems_are_found_at_once() {
    let found = problems(&[
        ("log.toml", "name = \"Orders\"\npartitions = 0\nretention = 5"),
        ("events/OrderPaid.avsc", "{"),
        ("command/PlaceOrder.avsc", "{}"),
    ]);
    let files: Vec<&str> = found.iter().map(|problem| problem.split_once(": ").unwrap().0).collect();
    assert_eq!(
        files,
        ["command/PlaceOrder.avsc", "events/OrderPaid.avsc", "log.toml", "log.toml", "log.toml", "log.toml"],
        "{found:#?}"
    );
}

#[test]
fn what_log_toml_gets_wrong_is_named() {
    let with = |line: &str| format!("{LOG_TOML}{line}");
    refused(&[("log.toml", &with("retention = 5"))], "log.toml: there is no key retention; known are name, partitions");
    for partitions in ["0", "1001", "-1", "\"4\"", "4.0", "99999999999"] {
        refused(&[("log.toml", &with(&format!("partitions = {partitions}")))], "a whole number from 1 to 1000");
    }
    refused(&[("log.toml", "name = \"orders\nstream_types")], "log.toml: line 1: ");
    refused(&[("log.toml", "name = \"orders\"\n\nname = \"x\"")], "log.toml: line 3: duplicate key");
    refused(&[("log.toml", "stream_types = [\"order\"]")], "name is missing");
    refused(&[("log.toml", "name = 5\nstream_types = [\"order\"]")], "name is not a text");
    refused(&[("log.toml", "name = \"orders\"")], "stream_types is missing");
    for types in ["[]", "\"order\"", "[5]", "[\"Order\"]", "[\"\"]", "[\"a-b\"]", "[\"order\", \"order\"]"] {
        refused(&[("log.toml", &format!("name = \"orders\"\nstream_types = {types}"))], "log.toml: stream_types");
    }
    let missing = LogFolder::from_files(BTreeMap::new()).unwrap_err();
    assert!(missing.iter().any(|problem| problem.to_string().starts_with("log.toml: the file is missing")));
}

#[test]
fn a_log_can_not_have_a_name_that_postgres_keeps() {
    for name in ["public", "information_schema", "pgcatalog", "pg_catalog", "Orders", "", "1st", "or-ders"] {
        refused(&[("log.toml", &format!("name = \"{name}\"\nstream_types = [\"order\"]"))], "log.toml: name: ");
    }
}

#[test]
fn a_file_that_a_log_does_not_have_is_refused() {
    refused(&[("evens/OrderPaid.avsc", "{}")], "evens/OrderPaid.avsc: a log has no such file");
    refused(&[("events/OrderPaid.json", "{}")], "events/OrderPaid.json: a log has no such file");
    refused(&[("Log.toml", "")], "Log.toml: a log has no such file");
    refused(&[("events/old/OrderPaid.avsc", "{}")], "move it out of its subfolder");
    refused(&[("upcasters/OrderPaid.toml", "")], "upcasters are not supported yet");
    for version in ["v0", "v01", "1", "va", "v1.v2", "v+1"] {
        refused(&[(&format!("events/OrderPaid.{version}.avsc"), "{}")], "name it OrderPaid.avsc, or OrderPaid.v1.avsc");
    }
}

#[test]
fn a_record_has_its_files_name_and_no_other_records() {
    refused(&[("events/OrderPaid.avsc", &record("Paid", &json!([])))], "the record is named Paid: name it OrderPaid");
    refused(
        &[("commands/OrderPlaced.avsc", &record("OrderPlaced", &json!([])))],
        "events/OrderPlaced.avsc has the same name",
    );
    refused(&[("events/Append.avsc", &record("Append", &json!([])))], "the platform's own");
    refused(&[("events/Outcome.avsc", &record("Outcome", &json!([])))], "the platform's own");
    refused(&[("events/_Paid.avsc", &record("_Paid", &json!([])))], "begins with an underscore");
    let ours = record("OrderPaid", &json!([])).replace("\"shop\"", "\"millrace\"");
    refused(&[("events/OrderPaid.avsc", &ours)], "the namespace millrace is the platform's own");
}

#[test]
fn a_schema_that_is_no_records_is_refused() {
    refused(&[("events/OrderPaid.avsc", "{\"type\": ")], "it is not JSON");
    refused(&[("events/OrderPaid.avsc", "{\"type\": \"record\", \"type\": \"record\"}")], "it is not JSON");
    refused(&[("events/OrderPaid.avsc", "{\"type\": \"text\"}")], "it is not an Avro schema");
    refused(&[("events/OrderPaid.avsc", "\"string\"")], "it is not a record");
    event_refused(json!([{"name": "a", "type": "strin"}]), "a: there is no type strin");
    event_refused(json!([{"name": "next", "type": ["null", "OrderPaid"], "default": null}]), "inside itself");
    let item = json!({"type": "record", "name": "Item", "fields": []});
    event_refused(json!([{"name": "a", "type": item}, {"name": "b", "type": "Item"}]), "it uses a named type twice");
}

#[test]
fn a_schema_bomb_is_refused() {
    let nulls = json!({"type": "array", "items": "null"});
    event_refused(json!([{"name": "a", "type": {"type": "array", "items": nulls}}]), "a[][]: items of no bytes");
    let empty = json!({"type": "record", "name": "E", "fields": []});
    event_refused(json!([{"name": "a", "type": {"type": "array", "items": empty}}]), "a[]: items of no bytes");
    let nested = |depth: usize| (0..depth).fold(json!("string"), |inner, _| json!({"type": "array", "items": inner}));
    event_refused(json!([{"name": "a", "type": nested(31)}]), "types are nested more than 32 deep");
    event_refused(json!([{"name": "a", "type": nested(100)}]), "nested");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    refused(&[("events/OrderPaid.avsc", &deep)], "it is not JSON: recursion limit");
    let fields: Vec<Json> = (0..2000).map(|n| json!({"name": format!("f{n}"), "type": "long"})).collect();
    event_refused(fields.into(), "the schema has 2001 types; the most is 2000");
    refused(&[("cases/a.toml", &" ".repeat(1024 * 1024 + 1))], "cases/a.toml: the file has 1048577 bytes");
    let large = " ".repeat(1024 * 1024);
    let cases: Vec<String> = (0..9).map(|n| format!("cases/{n}.toml")).collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|path| (path.as_str(), large.as_str())).collect();
    refused(&cases, "bytes together; the most is 8388608");
}

#[test]
fn more_than_500_records_are_refused() {
    let events: Vec<(String, String)> =
        (0..500).map(|n| (format!("events/E{n}.avsc"), record(&format!("E{n}"), &json!([])))).collect();
    let events: Vec<(&str, &str)> = events.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    refused(&events, "the log has 501 records; the most is 500");
}

#[test]
fn a_default_fits_its_type() {
    event_refused(json!([{"name": "n", "type": "long", "default": "x"}]), "n");
    event_refused(
        json!([{"name": "n", "type": ["null", "long"], "default": 5}]),
        "n: the default 5 does not fit the first type",
    );
    event_refused(
        json!([{"name": "n", "type": ["long", "null"], "default": null}]),
        "n: the default null does not fit",
    );
    let status = json!({"type": "enum", "name": "S", "symbols": ["A"]});
    event_refused(json!([{"name": "s", "type": status, "default": "B"}]), "B");
}

#[test]
fn a_type_that_people_could_not_be_shown_is_refused() {
    let duration = json!({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"});
    event_refused(json!([{"name": "d", "type": duration}]), "d: this logical type has no JSON form here");
    event_refused(json!([{"name": "u", "type": {"type": "bytes", "logicalType": "uuid"}}]), "u: this logical type");
}

#[test]
fn a_decimal_that_some_codec_could_not_hold_is_refused() {
    let in_bytes = |precision: i32, scale: i32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
    let in_fixed = |precision: i32, size: i32| json!({"type": "fixed", "name": "D", "size": size, "logicalType": "decimal", "precision": precision, "scale": 2});
    let decimal = |type_: Json| json!([{"name": "d", "type": type_}]);
    let folder = |fields: &Json| problems(&[("events/OrderPaid.avsc", &record("OrderPaid", fields))]);
    for sound in [in_bytes(28, 28), in_bytes(1, 0), in_fixed(28, 12), in_fixed(28, 16), in_fixed(4, 2)] {
        assert_eq!(folder(&decimal(sound)), [""; 0]);
    }
    event_refused(decimal(in_bytes(29, 2)), "d: a decimal of 29 digits; the most is 28");
    event_refused(decimal(in_fixed(20, 17)), "d: a decimal of 17 bytes; the most is 16");
    event_refused(decimal(in_fixed(5, 2)), "d: 2 bytes do not hold a decimal of 5 digits");
    event_refused(decimal(in_bytes(2, 3)), "a decimal is bytes or fixed, with a precision");
    event_refused(decimal(in_bytes(0, 0)), "a decimal is bytes or fixed, with a precision");
    event_refused(decimal(json!({"type": "bytes", "logicalType": "decimal", "precision": 4})), "scale");
    let with_default = |default: &str| json!([{"name": "d", "type": in_bytes(4, 2), "default": default}]);
    assert_eq!(folder(&with_default("\u{4}\u{d2}")), [""; 0]);
    event_refused(with_default("0.00"), "a decimal's default is the text of its bytes, such as \"\\u0000\" for 0");
    event_refused(with_default("\u{ff}\u{0}\u{0}\u{0}"), "d: the default");
}

#[test]
fn the_versions_of_a_record_have_no_hole_and_a_newest() {
    let paid = record("OrderPaid", &json!([id()]));
    refused(&[("events/OrderPaid.v1.avsc", &paid)], "the newest version is missing: add OrderPaid.avsc");
    let with = |number: u32| format!("events/OrderPaid.v{number}.avsc");
    refused(&[(&with(2), &paid), ("events/OrderPaid.avsc", &paid)], "OrderPaid.v1.avsc is missing");
    refused(&[(&with(1), &paid), (&with(3), &paid), ("events/OrderPaid.avsc", &paid)], "OrderPaid.v2.avsc is missing");
    let ten: Vec<String> = (1..=10).map(with).collect();
    let mut ten: Vec<(&str, &str)> = ten.iter().map(|path| (path.as_str(), paid.as_str())).collect();
    ten.push(("events/OrderPaid.avsc", &paid));
    assert_eq!(problems(&ten), [""; 0], "10 comes after 9");
}

#[test]
fn each_version_is_compatible_with_every_earlier_one() {
    let long = |default: bool| match default {
        true => json!({"name": "total", "type": "long", "default": 0}),
        false => json!({"name": "total", "type": "long"}),
    };
    let text = json!({"name": "total", "type": "string", "default": ""});
    let [one, two, three] =
        [json!([id(), long(true)]), json!([id()]), json!([id(), text])].map(|fields| record("OrderPaid", &fields));
    let versions = [
        ("events/OrderPaid.v1.avsc", one.as_str()),
        ("events/OrderPaid.v2.avsc", two.as_str()),
        ("events/OrderPaid.avsc", three.as_str()),
    ];
    // the third is compatible with the second, but not with the first
    refused(&versions, "total: the type was a long and is a string now (against events/OrderPaid.v1.avsc)");
    let required = record("OrderPaid", &json!([id(), long(false)]));
    let two_versions = [("events/OrderPaid.v1.avsc", two.as_str()), ("events/OrderPaid.avsc", required.as_str())];
    refused(&two_versions, "no default");
    refused(&two_versions, "give the field a default");
    let moved = one.replace("\"shop\"", "\"store\"");
    refused(
        &[("events/OrderPaid.v1.avsc", &one), ("events/OrderPaid.avsc", &moved)],
        "the record was named shop.OrderPaid with its namespace, and is store.OrderPaid now",
    );
}

#[test]
fn a_log_has_an_event_at_least() {
    let files = BTreeMap::from([("log.toml".to_owned(), LOG_TOML.to_owned())]);
    let found = LogFolder::from_files(files).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].problem.contains("the log has no event"), "{found:?}");
}

/// A folder on the disk with a whole log, which goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("millrace-folder-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("events")).unwrap();
        for (path, text) in files(&[]) {
            fs::write(dir.join(path), text).unwrap();
        }
        Self(dir)
    }

    fn problems(&self) -> Vec<String> {
        LogFolder::read(&self.0).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_folder_is_read_from_the_disk() {
    let folder = Folder::new("good");
    fs::write(folder.0.join(".DS_Store"), [0xff]).unwrap();
    fs::write(folder.0.join("README.md"), [0xff]).unwrap();
    assert_eq!(LogFolder::read(&folder.0).unwrap().files, files(&[]));
}

#[test]
fn what_a_folder_on_the_disk_must_not_have_is_refused() {
    let folder = Folder::new("bad");
    fs::write(folder.0.join("log.toml"), b"name = \"\xff\"").unwrap();
    fs::create_dir_all(folder.0.join("upcasters")).unwrap();
    fs::create_dir_all(folder.0.join("events/more")).unwrap();
    fs::create_dir_all(folder.0.join("typo")).unwrap();
    fs::create_dir_all(folder.0.join("domain.toml")).unwrap();
    fs::File::create(folder.0.join("events/Large.avsc")).unwrap().set_len(1024 * 1024 * 1024).unwrap();
    let found = folder.problems().join("\n");
    for expected in [
        "log.toml: byte 8 is not UTF-8",
        "upcasters: upcasters are not supported yet",
        "events/more: files lie in this folder directly",
        "typo: a log has no such file",
        "domain.toml: ",
        "events/Large.avsc: the file has 1073741824 bytes",
    ] {
        assert!(found.contains(expected), "{expected:?} is missing: {found}");
    }
    assert!(!found.contains("log.toml: the file is missing"), "{found}");
    assert_eq!(found.lines().count(), 6, "{found}");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_not_followed() {
    let folder = Folder::new("link");
    std::os::unix::fs::symlink("/etc/passwd", folder.0.join("events/OrderPaid.avsc")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.0.join("cases")).unwrap();
    let found = folder.problems();
    assert!(found.len() == 2 && found.iter().all(|problem| problem.contains("symbolic link")), "{found:?}");
}

#[test]
fn a_type_that_does_not_exist_is_named_with_its_field() {
    event_refused(json!([{"name": "id", "type": "strng"}]), "events/OrderPaid.avsc: id: there is no type strng");
    let items = json!({"type": "array", "items": {"type": "record", "name": "Item", "fields": [
        {"name": "sku", "type": ["null", "txt"]}]}});
    event_refused(json!([{"name": "items", "type": items}]), "items[].sku: there is no type txt: write one of null");
    event_refused(json!([{"name": "tags", "type": "array", "items": "string"}]), "tags: there is no type array");
}
