//! Asks Kafka whether it answers, with an ApiVersions request of version 0. Every broker since 0.10 understands it.
//!
//! Source: the Kafka protocol guide, <https://kafka.apache.org/protocol>, "ApiVersions API". librdkafka could ask too,
//! but then this crate, which starts the servers, would have to build it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Result;

use super::health::{NotReady, Probe};

/// "Mill", so that the request stands out in a capture.
const CORRELATION_ID: i32 = 0x4D69_6C6C;
/// In bytes. A broker's answer has some hundreds.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Kafka on a port of this machine.
pub(crate) struct KafkaProbe {
    pub port: u16,
}

impl Probe for KafkaProbe {
    async fn ask(&self) -> Result<(), NotReady> {
        let answer = self.exchange().await.map_err(|error| NotReady::Retry(error.to_string()))?;
        check(&answer).map_err(NotReady::Retry)
    }
}

impl KafkaProbe {
    async fn exchange(&self) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(&request()).await?;
        let size = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
        if size > LARGEST_ANSWER {
            return Err(std::io::Error::other("the program on this port is not Kafka"));
        }
        let mut answer = vec![0; size];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

/// The size, then API key 18, version 0, correlation id and client id.
fn request() -> Vec<u8> {
    const API_VERSIONS: i16 = 18;
    const CLIENT_ID: &[u8] = b"millrace";
    let mut body = Vec::new();
    body.extend(API_VERSIONS.to_be_bytes());
    body.extend(0_i16.to_be_bytes());
    body.extend(CORRELATION_ID.to_be_bytes());
    body.extend((CLIENT_ID.len() as i16).to_be_bytes());
    body.extend(CLIENT_ID);
    let mut request = (body.len() as i32).to_be_bytes().to_vec();
    request.extend(body);
    request
}

/// Checks the start of the answer: the correlation id, then an error code, 0 for none.
fn check(answer: &[u8]) -> Result<(), String> {
    let (Some(id), Some(code)) = (answer.first_chunk::<4>(), answer.get(4..6)) else {
        return Err("the answer is too short for Kafka's".into());
    };
    match code {
        _ if i32::from_be_bytes(*id) != CORRELATION_ID => Err("the answer is to another question".into()),
        [0, 0] => Ok(()),
        code => Err(format!("Kafka answers with error {code:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_what_the_protocol_guide_says() {
        let expected = b"\x00\x00\x00\x12\x00\x12\x00\x00Mill\x00\x08millrace";
        assert_eq!(request(), expected);
    }

    #[test]
    fn only_an_answer_without_error_counts() {
        assert!(check(b"Mill\x00\x00\x00\x00\x00\x01").is_ok());
        for bad in [&b""[..], b"Mill", b"Mill\x00\x23", b"mill\x00\x00"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
