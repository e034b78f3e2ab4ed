//! Texts of the reader for people: errors with their place, marks, limits.

use pyyaml::{Keys, Map, Mark, Set, Value, limits, python};

fn refused(text: &str) -> String {
    pyyaml::read(text).expect_err("this is refused").to_string()
}

#[test]
fn errors_say_where_what_and_why() {
    let cases = [
        (
            "a: b: c",
            "line 1, column 5: a mapping value is not allowed here (check the indentation, and quote text that contains ': ' or begins with '- ')",
        ),
        ("a:\n\tb: 1", "line 2, column 1: a tab cannot begin a value here"),
        (
            "a: 1\nb\nc: 2",
            "line 2, column 1: expected ': ' after this key (a key and its ':' stand on one line, at most 1024 characters apart)",
        ),
        (
            "a: [1, 2",
            "line 1, column 9: expected ',' or ']' in the list that begins at line 1, column 4, but found the end of the text",
        ),
        ("a: 'b", "line 1, column 4: this quoted text has no closing quote"),
        ("é: \"\\q\"", "line 1, column 6: \\ and 'q' are no escape"),
        ("a: *b", "line 1, column 4: the alias *b has no anchor (write &b in front of the value first)"),
        ("a: &a [*a]", "line 1, column 8: the value of *a would contain itself"),
        ("a: &a 1\nb: &a 2", "line 2, column 4: the anchor &a is already at line 1, column 4"),
        ("a: 2026-02-30", "line 1, column 4: \"2026-02-30\" is not a date (quote it if it is text)"),
        (
            "? [a]\n: b",
            "line 1, column 3: a list cannot be a key (only text, numbers, dates and the like can)",
        ),
        ("a: =", "line 1, column 4: = is allowed as a key only (quote it if it is text)"),
        ("<<: 5", "line 1, column 5: << merges a mapping or a list of mappings, not a scalar"),
        ("a: !x 1", "line 1, column 4: the tag \"!x\" is unknown"),
        (
            "a\u{7}",
            "line 1, column 2: the character U+0007 is not allowed (write it as an escape in a double-quoted string)",
        ),
        (
            "a: \"\\ud83d\"",
            "line 1, column 5: the escape U+D83D is not a character (half of a surrogate pair, or past U+10FFFF)",
        ),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document begins (expected a single document)"),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected, "{text:?}");
    }
}

#[test]
fn errors_stay_short() {
    for text in
        [format!("!{} a", "x".repeat(1 << 20)), format!("*{}", "x".repeat(1 << 20)), "9".repeat(1 << 20)]
    {
        assert!(refused(&text).len() < 500);
    }
}

#[test]
fn python_objects_are_refused() {
    for text in
        ["!!python/object/apply:os.system ['true']", "!!python/name:os.system ''", "- !!python/tuple [1]"]
    {
        let error = refused(text);
        assert!(error.contains("makes Python objects and is refused"), "{error}");
    }
}

#[test]
fn marks_find_keys() {
    let text = "message registry:\n  workers:\n    sleep:\n      failure: no\n  # a comment\n  manager: &m\n    - a\n    - b: 1\ncopy: *m\ncopy: *m\n";
    let (_, marks) = pyyaml::read_marked(text).expect("good YAML");
    assert_eq!(marks.line_of(&["message registry", "workers", "sleep"]), Some(3));
    assert_eq!(
        marks.mark_of(&["message registry", "workers", "sleep", "failure"]),
        Some(Mark { line: 4, column: 7 })
    );
    assert_eq!(marks.line_of(&["message registry", "manager", "1", "b"]), Some(8));
    assert_eq!(marks.line_of(&["copy"]), Some(10), "the last of two");
    assert_eq!(marks.line_of(&["copy", "0"]), Some(7), "behind an alias");
    assert_eq!(marks.line_of(&["message registry", "nobody"]), None);
    assert_eq!(marks.line_of(&[]), None);
}

#[test]
fn marks_of_merged_keys_point_to_where_they_are_written() {
    let (_, marks) = pyyaml::read_marked("base: &b\n  x: 1\nuse:\n  <<: *b\n  y: 2\n").expect("good YAML");
    assert_eq!(marks.line_of(&["use", "x"]), Some(2));
    assert_eq!(marks.line_of(&["use", "y"]), Some(5));
}

/// Runs on a stack of two megabytes, as a thread of a daemon has, also where the tests run on a greater one.
fn on_a_thread(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(test).expect("a thread");
    thread.join().expect("the test passes");
}

#[test]
fn nesting_past_the_limit_is_refused() {
    on_a_thread(|| {
        let cases = ["[", "{", "{a: ", "[[a]: ", "- ", "? ", "? - ", "- ? ", "!!set {? ", "!!seq [", "[? "];
        for piece in cases {
            let error = refused(&piece.repeat(20_000));
            assert!(error.contains("nested more than 512 deep"), "{piece:?}: {error}");
        }
        // Nested by indentation.
        let text: String = (0..3000).flat_map(|depth| [" ".repeat(depth), "a:\n".to_owned()]).collect();
        assert!(refused(&text).contains("nested more than 512 deep"));
    });
}

#[test]
fn nesting_through_aliases_counts() {
    use std::fmt::Write as _;
    let mut text = "- &a0 []\n".to_owned();
    for number in 1..20_000 {
        let _ = writeln!(text, "- &a{number} [*a{}]", number - 1);
    }
    on_a_thread(move || assert!(refused(&text).contains("nested more than 512 deep")));
}

#[test]
fn values_at_the_limit_fit_the_stack() {
    on_a_thread(|| {
        let deepest = limits::MAX_DEPTH;
        let cases = [
            ("[".repeat(deepest), "]".repeat(deepest)),
            ("{a: ".repeat(deepest), "}".repeat(deepest)),
            ("- ".repeat(deepest), String::new()),
            ("[a: ".repeat(deepest / 2), "]".repeat(deepest / 2)),
        ];
        for (open, close) in cases {
            let value = pyyaml::read(&format!("{open}1{close}")).expect("this is just not too deep");
            let written = pyyaml::write(&value, Keys::Sorted);
            let again = pyyaml::read(&written).expect("what we write we read");
            assert_eq!(value, again);
            assert!(Set::from([value.clone()]).contains(&again));
            assert!(python::pformat(&value).contains('1'));
            assert!(python::repr_value(&value).contains('1'));
            assert!(format!("{value:?}").contains('1'));
        }
        assert!(refused(&"[".repeat(deepest + 1)).contains("nested more than"));
    });
}

#[test]
fn alias_bombs_are_refused() {
    use std::fmt::Write as _;
    // Ten aliases on each of twenty levels.
    let mut billion_laughs = "a0: &a0 lol\n".to_owned();
    for level in 1..20 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(billion_laughs, "a{level}: &a{level} [{items}]");
    }
    // 80 kB that are used 20,000 times.
    let quadratic = format!("a: &a {}\nb: [{}]\n", "x".repeat(80_000), vec!["*a"; 20_000].join(", "));
    let merged = {
        let mut text = "- &a0 {k: v}\n".to_owned();
        for level in 1..20 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            let _ = writeln!(text, "- &a{level} {{<<: [{items}]}}");
        }
        text
    };
    for text in [billion_laughs, quadratic, merged] {
        let error = refused(&text);
        assert!(error.contains("each use of an alias counts in full"), "{error}");
    }
}

#[test]
fn a_small_text_that_would_be_written_large_is_refused() {
    let text = format!("{}{}{}", "[".repeat(400), "1,".repeat(400_000), "]".repeat(400));
    assert!(refused(&text).contains("larger than 128 MiB when it is written out"));
}

#[test]
fn aliases_share_what_they_name() {
    let value = pyyaml::read("a: &a [1, 2]\nb: *a\n").expect("good YAML");
    let (Some(Value::List(a)), Some(Value::List(b))) = (value.get("a"), value.get("b")) else {
        panic!("two lists: {value:?}");
    };
    assert!(std::sync::Arc::ptr_eq(a, b));
    assert_eq!(pyyaml::write(&value, Keys::AsGiven), "a:\n- 1\n- 2\nb:\n- 1\n- 2\n");
}

#[test]
fn integers_have_a_greatest_length() {
    assert_eq!(pyyaml::read(&"9".repeat(4300)).map(|value| value.kind()), Ok("an integer"));
    for text in ["9".repeat(4301), format!("0x{}", "f".repeat(4300)), format!("1{}", ":59".repeat(200_000))] {
        assert!(refused(&text).contains("not an integer (of at most 4300 digits"));
    }
}

#[test]
fn large_texts_go_there_and_back() {
    let lines = "a line of a log, with: colons, #hashes and 'quotes'\n".repeat(160_000);
    let items: Value = vec![Value::from(12_i64); 500_000].into();
    let pairs: Map =
        (0..200_000_i64).map(|number| (Value::from(format!("key {number}")), Value::from(number))).collect();
    for value in [Value::from(lines), Value::from("\u{e9}".repeat(4 << 20)), items, pairs.into()] {
        let text = pyyaml::write(&value, Keys::AsGiven);
        assert!(pyyaml::read(&text) == Ok(value), "the value came back changed");
    }
}

#[test]
fn equal_keys_collapse_as_in_python() {
    let value = pyyaml::read("{1: a, 2: b, 1.0: c, true: d}").expect("good YAML");
    assert_eq!(pyyaml::write(&value, Keys::AsGiven), "1: d\n2: b\n");
    let value = pyyaml::read("{2026-01-01 00:00:00Z: a, 2026-01-01 01:00:00+01:00: b}").expect("good YAML");
    assert_eq!(pyyaml::write(&value, Keys::AsGiven), "2026-01-01 00:00:00+00:00: b\n");
}

#[test]
fn bytes_must_be_utf8() {
    assert_eq!(pyyaml::read_bytes(b"a: \xC3\xA9"), pyyaml::read("a: é"));
    let error = pyyaml::read_bytes(b"a: 1\n\xC3\xA9\xFF").expect_err("not UTF-8");
    assert_eq!(error.to_string(), "line 2, column 2: the byte 0xFF is not UTF-8 (YAML is read as UTF-8)");
}

#[test]
fn a_text_without_a_document_is_null() {
    for text in ["", "\n\n", "# only a comment\n", "\u{FEFF}", "--- \n...\n"] {
        assert_eq!(pyyaml::read(text), Ok(Value::Null), "{text:?}");
    }
}

/// A checklist grows by many messages, each within the limits, and must still be read again.
#[test]
fn a_file_of_our_own_may_be_larger_than_a_message() {
    let text = "- 1\n".repeat(pyyaml::limits::MAX_NODES + 1);
    assert!(pyyaml::read_bytes(text.as_bytes()).is_err());
    let read = pyyaml::read_own(text.as_bytes()).expect("it is read");
    assert_eq!(read.as_list().map(<[_]>::len), Some(pyyaml::limits::MAX_NODES + 1));
    let bomb = "[&a [x, x, x, x, x, x, x, x, x, x], ".to_owned() + &"*a, ".repeat(1_000_000) + "]";
    assert!(pyyaml::read_own(bomb.as_bytes()).is_err(), "aliases do not get round it");
}
