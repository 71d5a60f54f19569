//! From a Kafka record to a command.

use millrace_runtime::kafka::{Fields, Record};
use millrace_schemas::headers::{
    CE_ID, CE_SOURCE, CE_TYPE, CONTENT_TYPE, CORRELATION_ID, EXPECTED_VERSION, JSON, TRACEPARENT,
};
use millrace_schemas::{Codec, DecodeError, Metadata, Received, RegistryError, Topic};
use rdkafka::Message;

use crate::Domain;
use crate::command::{Command, Sender, Unreadable};

/// Longest header value that goes with events and outcomes, in bytes.
const MAX_HEADER: usize = 200;

/// Why there is no command.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It will never be readable.
    #[error("{}", .0.reason)]
    Unreadable(Unreadable),
    /// The registry did not answer: read it again.
    #[error(transparent)]
    Transient(RegistryError),
}

impl ReadError {
    /// Whether reading the same record again may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

impl From<Unreadable> for ReadError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Unreadable { code, reason } => Unreadable::new(code, reason).into(),
            DecodeError::Transient(error) => Self::Transient(error),
        }
    }
}

/// Reads a record of the command topic.
///
/// # Errors
/// Unreadable, with the command id if that much could be read; or transient.
pub async fn read<D: Domain>(
    codec: &Codec,
    record: &Record,
    max_bytes: usize,
) -> Result<Command<D::Command>, ReadError> {
    let fields = Fields::of(&record.message);
    let id = command_id(&fields)?;
    let metadata = metadata(&fields, &id);
    let known = metadata.as_ref().ok().cloned();
    let named = |mut unreadable: Unreadable| {
        let correlated = || Metadata { correlation_id: Some(id.clone()), ..Metadata::default() };
        let metadata = known.clone().unwrap_or_else(correlated);
        unreadable.sender = Some(Box::new(Sender { command_id: id.clone(), metadata }));
        ReadError::Unreadable(unreadable)
    };
    if fields.unnamed() > 0 {
        return Err(named(Unreadable::new("invalid_header", "The name of a header is not UTF-8.")));
    }
    let metadata = metadata.map_err(named)?;
    let value = value(record, max_bytes).map_err(named)?;
    let expected = match header(&fields, EXPECTED_VERSION).map_err(named)? {
        None => Ok(Default::default()),
        Some(text) => text.parse().map_err(|e| Unreadable::new("invalid_expected_version", format!("{e}"))),
    };
    let expected = expected.map_err(named)?;
    let decoded = match decode(codec, &fields, value).await {
        Ok(decoded) => decoded,
        Err(ReadError::Unreadable(unreadable)) => return Err(named(unreadable)),
        Err(transient) => return Err(transient),
    };
    let name = decoded.record.name;
    let body = D::read_command(decoded);
    let body =
        body.ok_or_else(|| named(Unreadable::new("wrong_type", format!("{name} is no command of this log."))))?;
    let body = body.map_err(|error| match ReadError::from(error) {
        ReadError::Unreadable(unreadable) => named(unreadable),
        transient => transient,
    })?;
    Ok(Command { id, body, expected, metadata })
}

async fn decode<'a>(codec: &'a Codec, fields: &Fields<'_>, value: &'a [u8]) -> Result<Received<'a>, ReadError> {
    let json = header(fields, CONTENT_TYPE)?.is_some_and(|content_type| {
        let media_type = content_type.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case(JSON)
    });
    let decoded = if json {
        let name = header(fields, CE_TYPE)?;
        let name = name.ok_or_else(|| Unreadable::new("no_type", "A JSON command needs the header ce_type."))?;
        codec.decode_json(Topic::Commands, name, value)
    } else {
        codec.decode(Topic::Commands, value).await
    };
    decoded.map_err(|error| match error {
        DecodeError::Unreadable { code: "no_magic_byte", reason } if value.first() == Some(&b'{') => {
            let hint = format!("{reason}; JSON needs the header content-type: {JSON}");
            Unreadable::new("no_magic_byte", hint).into()
        }
        error => error.into(),
    })
}

fn command_id(fields: &Fields<'_>) -> Result<String, Unreadable> {
    match header(fields, CE_ID)? {
        Some("") | None => Err(Unreadable::new(
            "no_command_id",
            "There is no command id: set the header ce_id, the same each time the command is sent.",
        )),
        Some(id) => Ok(id.to_owned()),
    }
}

fn value(record: &Record, max_bytes: usize) -> Result<&[u8], Unreadable> {
    match record.message.payload() {
        None => Err(Unreadable::new("no_value", "The record has no value.")),
        Some(value) if value.len() > max_bytes => {
            let reason = format!("The value has {} bytes; a command has at most {max_bytes}.", value.len());
            Err(Unreadable::new("oversized", reason))
        }
        Some(value) => Ok(value),
    }
}

fn metadata(fields: &Fields<'_>, id: &str) -> Result<Metadata, Unreadable> {
    let owned = |name| header(fields, name).map(|value| value.map(ToOwned::to_owned));
    Ok(Metadata {
        correlation_id: Some(owned(CORRELATION_ID)?.unwrap_or_else(|| id.to_owned())),
        causation_id: Some(id.to_owned()),
        source: owned(CE_SOURCE)?,
        traceparent: owned(TRACEPARENT)?.filter(|text| is_traceparent(text)),
    })
}

/// Whether it is one as W3C Trace Context has it; one that is none is not to be handed on.
fn is_traceparent(text: &str) -> bool {
    let is_id = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_none = |part: &str| part.bytes().all(|byte| byte == b'0');
    match text.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] => {
            is_id(trace, 32) && !is_none(trace) && is_id(span, 16) && !is_none(span) && is_id(flags, 2)
        }
        _ => false,
    }
}

/// A header that Millrace reads, as short clean text. The last one counts where a name comes twice.
fn header<'r>(fields: &Fields<'r>, name: &str) -> Result<Option<&'r str>, Unreadable> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    let invalid = |problem: &str| Unreadable::new("invalid_header", format!("The header {name} {problem}."));
    if value.len() > MAX_HEADER {
        return Err(invalid("is longer than 200 bytes"));
    }
    let text = std::str::from_utf8(value).map_err(|_| invalid("is not UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(invalid("has a control character"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_traceparent_of_w3cs_form_is_one() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert!(is_traceparent(&format!("00-{trace}-{span}-01")));
        for none in [
            String::new(),
            "garbage".to_owned(),
            format!("00-{trace}-{span}"),
            format!("01-{trace}-{span}-01"),
            format!("00-{trace}-{span}-01-more"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
        ] {
            assert!(!is_traceparent(&none), "{none}");
        }
    }
}
