//! Values as Python shows them, where the test against the real one cannot look or Python may be absent.

use pyyaml::{Value, python};

fn shown(yaml: &str) -> String {
    python::pformat(&pyyaml::read(yaml).expect("good YAML"))
}

#[test]
fn strings_are_quoted_as_in_python() {
    assert_eq!(python::repr("it"), "'it'");
    assert_eq!(python::repr("it's"), "\"it's\"");
    assert_eq!(python::repr("it's \"it\"\n"), "'it\\'s \"it\"\\n'");
    assert_eq!(python::repr("é 日本 \u{200b}\u{a0}\u{7f}\u{e000}😀"), "'é 日本 \\u200b\\xa0\\x7f\\ue000😀'");
}

#[test]
fn dates_are_shown_with_their_module() {
    assert_eq!(shown("2026-03-14"), "datetime.date(2026, 3, 14)");
    assert_eq!(shown("2026-03-14 05:15:00"), "datetime.datetime(2026, 3, 14, 5, 15)");
    assert_eq!(
        shown("2026-03-14 05:15:01.5Z"),
        "datetime.datetime(2026, 3, 14, 5, 15, 1, 500000, tzinfo=datetime.timezone.utc)"
    );
    assert_eq!(
        shown("2026-03-14 05:15:00-7"),
        "datetime.datetime(2026, 3, 14, 5, 15, tzinfo=datetime.timezone(datetime.timedelta(days=-1, seconds=61200)))"
    );
}

#[test]
fn sets_are_sorted_and_empty_ones_have_a_name() {
    assert_eq!(shown("!!set {b, a}"), "{'a', 'b'}");
    assert_eq!(shown("!!set {}"), "set()");
}

#[test]
fn long_values_take_a_line_each() {
    let text = "word ".repeat(20);
    let value: Value = [("b", Value::from(text)), ("a", Value::Null)].into_iter().collect();
    assert_eq!(
        python::pformat(&value),
        "{'a': None,\n 'b': 'word word word word word word word word word word word word word word '\n      'word word word word word word '}"
    );
}
