//! Confluent's wire format: a zero byte, the schema id as 4 bytes big-endian, the Avro datum.

/// Length of what precedes the datum.
const PREFIX: usize = 5;

/// Why a value has no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than the prefix.
    #[error("the value is {0} bytes long, shorter than the 5 bytes of Confluent framing")]
    TooShort(usize),
    /// Another first byte than zero.
    #[error("the value begins with byte {0:#04x}, not with the magic byte 0x00 of Confluent framing")]
    NoMagicByte(u8),
}

/// Starts a value: the frame's prefix, ready for the datum.
pub fn frame(schema_id: u32) -> Vec<u8> {
    let mut value = Vec::with_capacity(256);
    value.push(0);
    value.extend_from_slice(&schema_id.to_be_bytes());
    value
}

/// Splits a value into schema id and datum.
///
/// # Errors
/// When there is no frame.
pub fn unframe(value: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    match value {
        [0, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [first, ..] if *first != 0 => Err(FrameError::NoMagicByte(*first)),
        _ => {
            debug_assert!(value.len() < PREFIX);
            Err(FrameError::TooShort(value.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reads_back_what_it_writes() {
        let mut value = frame(0x0102_0304);
        value.extend_from_slice(b"datum");
        assert_eq!(unframe(&value), Ok((0x0102_0304, b"datum".as_slice())));
    }

    #[test]
    fn short_and_foreign_values_are_told_apart() {
        assert_eq!(unframe(b""), Err(FrameError::TooShort(0)));
        assert_eq!(unframe(&[0, 0, 0, 1]), Err(FrameError::TooShort(4)));
        assert_eq!(unframe(b"{}"), Err(FrameError::NoMagicByte(b'{')));
    }
}
