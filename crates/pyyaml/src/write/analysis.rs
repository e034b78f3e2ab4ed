//! The styles that a scalar allows.

/// The styles that the characters of a scalar allow, outside of flow collections and without `allow_unicode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Analysis {
    /// Whether the scalar has a line break.
    pub is_multiline: bool,
    /// Whether the scalar can be written without quotes.
    pub allows_plain: bool,
    /// Whether the scalar can be written in single quotes.
    pub allows_single_quoted: bool,
}

fn is_blank_or_end(byte: Option<u8>) -> bool {
    matches!(byte, None | Some(b' ' | b'\n'))
}

/// Analyze the characters of a scalar.
pub(super) fn analyze(text: &str) -> Analysis {
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return Analysis { is_multiline: false, allows_plain: true, allows_single_quoted: true };
    };
    if !bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
        let is_multiline = text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}']);
        return Analysis { is_multiline, allows_plain: false, allows_single_quoted: false };
    }
    let is_multiline = bytes.contains(&b'\n');
    let has_edge = matches!(first, b' ' | b'\n') || matches!(last, b' ' | b'\n');
    let space_after_break = is_multiline && text.contains("\n ");
    let space_before_break = is_multiline && text.contains(" \n");
    Analysis {
        is_multiline,
        allows_plain: !is_multiline && !has_edge && !has_indicators(bytes, first),
        allows_single_quoted: !space_after_break && !space_before_break,
    }
}

/// Return whether a part of the scalar would have a meaning other than text.
fn has_indicators(bytes: &[u8], first: u8) -> bool {
    if bytes.starts_with(b"---") || bytes.starts_with(b"...") {
        return true;
    }
    let begins_with_indicator = match first {
        b'#' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%'
        | b'@' | b'`' => true,
        b'?' | b':' | b'-' => is_blank_or_end(bytes.get(1).copied()),
        _ => false,
    };
    begins_with_indicator
        || bytes.windows(2).any(|pair| matches!(pair, [b' ' | b'\n', b'#'] | [b':', b' ' | b'\n']))
        || bytes.ends_with(b":")
}
