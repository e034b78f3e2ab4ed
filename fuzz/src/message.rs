//! Messages of workers, as the manager decodes them.

use nowcast_core::message::Message;
use pyyaml::Value;

pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        // It only guesses, and must not fail.
        let _ = Message::peek(text);
    }
    match Message::decode(data) {
        Err(error) => assert!(error.to_string().starts_with("message"), "{error}"),
        Ok(message) => {
            let encoded = message.encode();
            assert_eq!(Message::decode(encoded.as_bytes()).as_ref(), Ok(&message), "{encoded}");
            let source = pyyaml::write(&message.source.as_str().into(), pyyaml::Keys::Sorted);
            let is_plain = |text: &str| {
                !text.is_empty()
                    && text.chars().all(|letter| letter.is_ascii_alphanumeric())
                    && text.len() < 80
            };
            if is_plain(source.trim_end()) && is_plain(&message.source) && is_plain(&message.r#type) {
                let peeked = Message::peek(&encoded).expect("the keys of an encoded message");
                let whole = Message { payload: Value::Null, ..message };
                assert_eq!((peeked.source, peeked.r#type), (whole.source, whole.r#type));
            }
        }
    }
}
