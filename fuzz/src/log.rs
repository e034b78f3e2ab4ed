//! The frames of published log messages, and what a log shows of them.

use nowcast::log_aggregator::parse;
use nowcast::net::socket::Frames;

/// Frames with zeros between them.
pub fn check(data: &[u8]) {
    let frames: Frames = data.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    if let Some(line) = parse(&frames) {
        assert!(!line.publisher.is_empty() && !line.publisher.chars().any(char::is_control));
        assert!(line.level > pylogging::Level::NOTSET);
        check_escapes(&line.publisher);
        check_escapes(&line.text);
    }
    check_escapes(&String::from_utf8_lossy(data));
}

/// A terminal shows an escaped text, and obeys nothing in it.
fn check_escapes(text: &str) {
    let escaped = pylogging::escape(text);
    assert!(
        escaped.chars().all(|letter| !letter.is_control() || letter == '\n' || letter == '\t'),
        "{escaped:?}"
    );
    let is_directional = |letter| matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    assert!(!escaped.contains(is_directional), "{escaped:?}");
    assert_eq!(pylogging::escape(&escaped), escaped);
    let line = pylogging::escape_line(text);
    assert!(line.lines().count() <= 1 && !line.contains('\n'), "{line:?}");
}
