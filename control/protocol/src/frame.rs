//! Messages as bytes: four bytes of length, most significant first, and so many
//! bytes of JSON.
//!
//! Neither side trusts the other's length: a message that is too long is refused
//! before it is kept, and what is half there is only ever as much as one message
//! may be.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message, in bytes of JSON.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes of the length before each.
const LENGTH_BYTES: usize = 4;

/// What is wrong with bytes that came.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A message is longer than [`MESSAGE_BYTES_MAX`].
    #[error("a message of {0} bytes, and {MESSAGE_BYTES_MAX} are the most")]
    TooLong(usize),
    /// Not the JSON of a message.
    #[error("no message: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// A message as it goes over the wire.
///
/// # Errors
/// [`FrameError::TooLong`]; [`FrameError::Malformed`] if it cannot be JSON.
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut bytes, message)?;
    let len = bytes.len() - LENGTH_BYTES;
    let length = u32::try_from(len).map_err(|_| FrameError::TooLong(len))?;
    if len > MESSAGE_BYTES_MAX {
        return Err(FrameError::TooLong(len));
    }
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Puts messages together of the bytes that come, in whatever pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Bytes at the start that were given out.
    used: usize,
}

impl Decoder {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, if all of it is there. After an error nothing more can
    /// be made of what comes.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn message<M: DeserializeOwned>(&mut self) -> Result<Option<M>, FrameError> {
        let rest = &self.bytes[self.used..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*length) as usize;
        if len > MESSAGE_BYTES_MAX {
            return Err(FrameError::TooLong(len));
        }
        let Some(message) = rest.get(..len) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(message)?;
        self.used += LENGTH_BYTES + len;
        Ok(Some(message))
    }

    /// Whether a message has come in part.
    pub fn is_half(&self) -> bool {
        self.used < self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_long_is_refused_by_its_length_alone() {
        let mut decoder = Decoder::default();
        decoder.push(&(MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes());
        let next = decoder.message::<String>();
        assert!(matches!(next, Err(FrameError::TooLong(_))));
        let long = "x".repeat(MESSAGE_BYTES_MAX);
        assert!(matches!(encode(&long), Err(FrameError::TooLong(_))));
        let longest = "x".repeat(MESSAGE_BYTES_MAX - 2);
        let mut decoder = Decoder::default();
        decoder.push(&encode(&longest).expect("just so"));
        assert_eq!(decoder.message().expect("whole"), Some(longest));
    }

    proptest! {
        #[test]
        fn messages_come_back_in_whatever_pieces(
            messages in vec(".{0,40}", 0..8),
            cuts in vec(1usize..30, 1..20),
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| encode(m).expect("short")).collect();
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let cut = (*cuts.next().expect("some")).min(rest.len());
                decoder.push(&rest[..cut]);
                rest = &rest[cut..];
                while let Some(message) = decoder.message::<String>().expect("whole") {
                    found.push(message);
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert!(!decoder.is_half());
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.message::<serde_json::Value>() {}
        }
    }
}
