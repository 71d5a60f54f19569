use super::*;

fn parse(text: &str) -> Schema {
    Schema::parse_str(text).unwrap()
}

#[test]
fn a_few_bytes_do_not_make_gigabytes() {
    let bomb = parse(
        r#"{"type": "record", "name": "R", "fields": [
            {"name": "x", "type": {"type": "array", "items": {"type": "array", "items": "null"}}}]}"#,
    );
    // an outer array of 3 items, each an array of 200,000 nulls
    let nulls = [0x80, 0xb5, 0x18, 0x00];
    let datum = [&[6][..], &nulls, &nulls, &nulls, &[0]].concat();
    assert_eq!(check(&bomb, &datum), Err(Flaw::TooComplex));
    // 500 nulls are little
    assert_eq!(check(&bomb, &[2, 0xe8, 0x07, 0, 0]), Ok(()));
}

#[test]
fn a_flaw_names_its_place() {
    let schema = parse(
        r#"{"type": "record", "name": "R", "fields": [
            {"name": "items", "type": {"type": "array", "items": "string"}}, {"name": "yes", "type": "boolean"}]}"#,
    );
    assert_eq!(check(&schema, &[4, 2, b'a', 2, b'b', 0, 1]), Ok(()));
    let shown = |datum: &[u8]| check(&schema, datum).unwrap_err().unreadable("R").to_string();
    assert_eq!(
        shown(&[4, 2, b'a', 2, 0, 0, 1]),
        "R: items[1]: the text has a U+0000 character, which the log can't store"
    );
    assert_eq!(shown(&[0, 2]), "the value is no datum of R: yes: a boolean is neither 0 nor 1");
    assert_eq!(shown(&[0, 1, 7]), "1 bytes are left over after the R");
    assert_eq!(shown(&[2, 40, b'a']), "the value is no datum of R: items[0]: it ends inside");
}

#[test]
fn a_field_that_came_later_and_is_at_its_default_changes_no_hash() {
    let old = parse(r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}"#);
    let new = parse(
        r#"{"type": "record", "name": "R", "fields": [
            {"name": "a", "type": "string"}, {"name": "b", "type": ["null", "long"], "default": null}]}"#,
    );
    let hash = |schema: &Schema, datum: &[u8]| content_hash(schema, "R", datum);
    assert_eq!(hash(&old, &[2, b'x']), hash(&new, &[2, b'x', 0]));
    assert_ne!(hash(&old, &[2, b'x']), hash(&new, &[2, b'x', 2, 8]));
    assert_ne!(hash(&old, &[2, b'x']), hash(&old, &[2, b'y']));
    assert_ne!(content_hash(&old, "R", &[2, b'x']), content_hash(&old, "S", &[2, b'x']));
}

#[test]
fn neither_the_order_of_a_maps_entries_nor_that_of_fields_changes_a_hash() {
    let schema = parse(
        r#"{"type": "record", "name": "R", "fields": [
            {"name": "m", "type": {"type": "map", "values": "long"}}, {"name": "n", "type": "long"}]}"#,
    );
    let hash = |datum: &[u8]| content_hash(&schema, "R", datum);
    let (a, b) = ([2, b'a', 2], [2, b'b', 4]);
    let one_way = [&[4], &a[..], &b, &[0, 6]].concat();
    let other_way = [&[4], &b[..], &a, &[0, 6]].concat();
    let in_two_blocks = [&[2], &b[..], &[2], &a, &[0, 6]].concat();
    assert_eq!(hash(&one_way), hash(&other_way));
    assert_eq!(hash(&one_way), hash(&in_two_blocks));
    assert_ne!(hash(&one_way), hash(&[&[4], &a[..], &[2, b'b', 6], &[0, 6]].concat()));
    let moved = parse(
        r#"{"type": "record", "name": "R", "fields": [
            {"name": "n", "type": "long"}, {"name": "m", "type": {"type": "map", "values": "long"}}]}"#,
    );
    assert_eq!(hash(&one_way), content_hash(&moved, "R", &[&[6, 4], &a[..], &b, &[0]].concat()));
}
