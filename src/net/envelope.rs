//! Envelopes: the frames in front of a message on the wire. This module never looks into the message.

use super::socket::Frames;

/// The frames of a request up to and including the empty one. They route the reply to the sender and are returned
/// unchanged, as a REP socket returns them.
pub type Envelope = Frames;

/// Split a request into its envelope and its body, or return `None` if it has no empty frame. Several body frames,
/// which no worker sends, are joined into one.
#[must_use]
pub fn open(mut frames: Frames) -> Option<(Envelope, Vec<u8>)> {
    let delimiter = frames.iter().position(Vec::is_empty)?;
    let body = frames.split_off(delimiter + 1).concat();
    Some((frames, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_ends_at_the_first_empty_frame() {
        let frames = vec![b"broker".to_vec(), b"worker".to_vec(), Vec::new(), b"body".to_vec()];
        let (envelope, body) = open(frames).expect("a request");
        assert_eq!(envelope, [b"broker".to_vec(), b"worker".to_vec(), Vec::new()]);
        assert_eq!(body, b"body");
    }

    #[test]
    fn a_body_may_be_empty_or_missing() {
        let request = || vec![b"worker".to_vec(), Vec::new(), Vec::new()];
        assert_eq!(open(request()).map(|(_, body)| body), Some(Vec::new()));
        assert_eq!(open(request()[..2].to_vec()).map(|(_, body)| body), Some(Vec::new()));
    }

    #[test]
    fn a_message_without_an_empty_frame_is_invalid() {
        assert_eq!(open(vec![b"worker".to_vec(), b"body".to_vec()]), None);
    }
}
