//! Confluent's wire format: a zero byte, the schema id as 4 bytes big-endian, the Avro datum.

use schema_registry_converter::schema_registry_common::{BytesResult, get_bytes_result};

/// Bytes before the datum.
pub const FRAME: usize = 5;

/// Why bytes are not a framed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The value is shorter than the frame.
    #[error("the value is {0} bytes long, shorter than the 5 bytes of Confluent framing")]
    TooShort(usize),
    /// The first byte is not zero.
    #[error("the value begins with byte {0:#04x}, not with the magic byte 0x00 of Confluent framing")]
    NoMagicByte(u8),
}

/// Puts the frame with the registry's schema id before a datum.
pub fn frame(schema_id: u32, datum: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(FRAME + datum.len().max(256));
    value.push(0);
    value.extend_from_slice(&schema_id.to_be_bytes());
    value.extend_from_slice(datum);
    value
}

/// Splits a value into the registry's schema id and the datum.
///
/// # Errors
/// When there is no frame.
pub fn unframe(value: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    match get_bytes_result(Some(value)) {
        BytesResult::Valid(id, datum) => Ok((id, datum)),
        _ => match value.first() {
            Some(first) if *first != 0 => Err(FrameError::NoMagicByte(*first)),
            _ => Err(FrameError::TooShort(value.len())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_what_it_writes() {
        let value = frame(0x0102_0304, b"datum");
        assert_eq!(unframe(&value), Ok((0x0102_0304, b"datum".as_slice())));
    }

    #[test]
    fn short_and_foreign_values_are_told_apart() {
        assert_eq!(unframe(b""), Err(FrameError::TooShort(0)));
        assert_eq!(unframe(&[0, 0, 0, 1]), Err(FrameError::TooShort(4)));
        assert_eq!(unframe(b"{}"), Err(FrameError::NoMagicByte(b'{')));
    }
}
