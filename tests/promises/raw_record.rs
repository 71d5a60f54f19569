//! Writes a record to the wire by hand, because no client in Rust or Java can send headers of any bytes.
//!
//! Source: Kafka's protocol guide, Produce request v3 and record batch v2.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A header: name and value.
type RawHeader<'a> = (&'a [u8], &'a [u8]);

/// Sends a record and waits until the broker has it.
pub fn produce(broker: &str, topic: &str, partition: i32, value: &[u8], headers: &[RawHeader<'_>]) {
    let batch = batch(&record(value, headers));
    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes());
    request.extend(7_i32.to_be_bytes()); // correlation id
    request.extend((-1_i16).to_be_bytes()); // no client id
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acks: all
    request.extend(10_000_i32.to_be_bytes()); // milliseconds
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len()).expect("short").to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(partition.to_be_bytes());
    request.extend(sized(&batch));
    let mut stream = TcpStream::connect(broker).expect("the broker");
    stream.write_all(&sized(&request)).expect("sent");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("an answer");
    // correlation id, one topic and its name, one partition and its number
    let error = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[error..error + 2], [0, 0], "the broker refuses the record");
}

fn record(value: &[u8], headers: &[RawHeader<'_>]) -> Vec<u8> {
    let mut record = vec![0]; // attributes
    record.extend([varint(0), varint(0), varint(-1)].concat()); // time, offset, no key
    record.extend(varint(value.len() as i64));
    record.extend(value);
    record.extend(varint(headers.len() as i64));
    for (name, value) in headers {
        for part in [name, value] {
            record.extend(varint(part.len() as i64));
            record.extend(*part);
        }
    }
    [varint(record.len() as i64), record].concat()
}

fn batch(record: &[u8]) -> Vec<u8> {
    let mut summed = Vec::new();
    summed.extend(0_i16.to_be_bytes()); // attributes
    summed.extend(0_i32.to_be_bytes()); // last offset
    summed.extend(1_700_000_000_000_i64.to_be_bytes().repeat(2)); // first and last time
    summed.extend((-1_i64).to_be_bytes()); // no producer id,
    summed.extend((-1_i16).to_be_bytes()); // epoch
    summed.extend((-1_i32).to_be_bytes()); // or sequence
    summed.extend(1_i32.to_be_bytes());
    summed.extend(record);
    let mut rest = Vec::new();
    rest.extend((-1_i32).to_be_bytes()); // leader epoch
    rest.push(2); // magic
    rest.extend(crc32c(&summed).to_be_bytes());
    rest.extend(summed);
    [0_i64.to_be_bytes().to_vec(), sized(&rest)].concat()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
}

fn varint(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
