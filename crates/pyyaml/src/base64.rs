//! Base64 for `!!binary`, written and read like Python's `base64` module.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes on a line: `base64.encodebytes` breaks lines after 76 characters.
const BYTES_PER_LINE: usize = 57;

/// Encode bytes in lines of 76 characters, each with its line break.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() / BYTES_PER_LINE * 77 + 80);
    for line in bytes.chunks(BYTES_PER_LINE) {
        for group in line.chunks(3) {
            let bits = group
                .iter()
                .zip([16, 8, 0])
                .fold(0_u32, |bits, (&byte, shift)| bits | u32::from(byte) << shift);
            for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
                let character =
                    if place > group.len() { b'=' } else { ALPHABET[(bits >> shift & 63) as usize] };
                text.push(char::from(character));
            }
        }
        text.push('\n');
    }
    text
}

/// Decode like `base64.decodebytes`, which skips every invalid character. Return `None` if the last group of four is
/// cut short.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits = 0_u32;
    let mut place = 0;
    let mut padding = 0;
    for character in text.bytes() {
        if character == b'=' {
            if place >= 2 {
                padding += 1;
                if place + padding >= 4 {
                    return Some(bytes);
                }
            }
            continue;
        }
        let Some(sextet) = sextet(character) else { continue };
        padding = 0;
        bits = bits << 6 | u32::from(sextet);
        place = (place + 1) % 4;
        let byte = match place {
            1 => continue,
            2 => bits >> 4,
            3 => bits >> 2,
            _ => bits,
        };
        bytes.push((byte & 0xFF) as u8);
    }
    (place == 0).then_some(bytes)
}

fn sextet(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_group_is_padded() {
        assert_eq!(
            ["", "f", "fo", "foo"].map(|text| encode(text.as_bytes())),
            ["", "Zg==\n", "Zm8=\n", "Zm9v\n"]
        );
    }

    #[test]
    fn a_line_has_76_characters() {
        let text = encode(&[0; 58]);
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [76, 4]);
        assert_eq!(decode(&text), Some(vec![0; 58]));
    }

    #[test]
    fn invalid_characters_are_skipped_and_a_short_group_is_an_error() {
        assert_eq!(decode("Zm\n9*v").as_deref(), Some(&b"foo"[..]));
        assert_eq!(decode("Zm9vZ"), None);
    }
}
