//! Compares the matcher with Lua's own string library.

use mlua::{Lua, MultiValue, Value};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::{Capture, Match, Matcher, PatternError};

fn ours(text: &[u8], pattern: &[u8], from: usize) -> Result<Option<Match>, String> {
    let anchored = pattern.first() == Some(&b'^');
    let pattern = if anchored { &pattern[1..] } else { pattern };
    let tick = |_| Ok::<(), ()>(());
    Matcher::new(text, pattern, &tick).find(from, None, anchored).map_err(|error| match error {
        PatternError::Malformed(why) => why,
        PatternError::Stopped(()) => unreachable!("the tick never stops"),
    })
}

fn place(number: i64) -> usize {
    usize::try_from(number).unwrap()
}

/// Return the result of Lua's own `string.find`, in our form.
fn real(lua: &Lua, text: &[u8], pattern: &[u8], from: usize) -> Result<Option<Match>, String> {
    let find: mlua::Function = lua.load("return string.find").eval().unwrap();
    let arguments = (lua.create_string(text).unwrap(), lua.create_string(pattern).unwrap(), from + 1, false);
    let answer: MultiValue = find.call(arguments).map_err(|error| error.to_string())?;
    let mut values = answer.into_iter();
    let (Some(Value::Integer(first)), Some(Value::Integer(last))) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let (start, end) = (place(first) - 1, place(last));
    let rest: Vec<Value> = values.collect();
    let captures = rest
        .into_iter()
        .map(|value| match value {
            Value::Integer(at) => Capture::Position(place(at)),
            Value::String(text) => {
                // Lua returns the captured text without its position, so only lengths are compared.
                Capture::Text(0, text.as_bytes().len())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let captures: Vec<Capture> = captures;
    let has_parentheses = !captures.is_empty();
    Ok(Some(Match { start, end, captures, has_parentheses }))
}

/// Check that both find the same match, with captures of the same kind and length, or that both refuse.
fn compare(lua: &Lua, text: &[u8], pattern: &[u8], from: usize) {
    if !pattern.iter().any(|byte| b"^$*+?.([%-".contains(byte)) {
        // Both `find` functions search for such a pattern as plain text, without the matcher.
        return;
    }
    let shown = format!("{:?} in {:?}", String::from_utf8_lossy(pattern), String::from_utf8_lossy(text));
    match (ours(text, pattern, from), real(lua, text, pattern, from)) {
        (Ok(None), Ok(None)) => {}
        (Ok(Some(mine)), Ok(Some(theirs))) => {
            assert_eq!((mine.start, mine.end), (theirs.start, theirs.end), "{shown}");
            assert_eq!(mine.has_parentheses, theirs.has_parentheses, "{shown}");
            if !theirs.has_parentheses {
                return;
            }
            let lengths: Vec<Capture> = mine
                .captures
                .iter()
                .map(|capture| match *capture {
                    Capture::Text(start, end) => Capture::Text(0, end - start),
                    position @ Capture::Position(_) => position,
                })
                .collect();
            assert_eq!(lengths, theirs.captures, "{shown}");
        }
        (Err(mine), Err(theirs)) => assert!(theirs.contains(&mine), "{shown}: {mine} against {theirs}"),
        (mine, theirs) => panic!("{shown}: {mine:?} against {theirs:?}"),
    }
}

#[test]
fn the_manual_s_constructs_match_as_lua_s_do() {
    let lua = Lua::new();
    let texts: [&[u8]; 8] = [
        b"",
        b"hello world from Lua",
        b"2026-03-14 05:15",
        b"THE (quick) fox (is (nested)) here",
        b"key = value, other=thing",
        b"a]b^c-d%e.f",
        b"\x00\xff\x80 \t\n\x0b",
        b"abcabcabc \"quoted\" 'single'",
    ];
    let patterns: [&[u8]; 44] = [
        b"",
        b"^",
        b"$",
        b"^$",
        b".",
        b".-",
        b".*",
        b".+",
        b"%a+",
        b"%A+",
        b"%d%d%d%d",
        b"^%s*(.-)%s*$",
        b"(%w+)%s*=%s*(%w+)",
        b"()ll()",
        b"%((.-)%)",
        b"%b()",
        b"%b",
        b"%bx",
        b"%f[%a]%a+",
        b"%f[^%w]",
        b"%f",
        b"[a-c]+",
        b"[^a-c]+",
        b"[]]",
        b"[^]]+",
        b"[a-]",
        b"[%a%d_]+",
        b"[%",
        b"[a",
        b"%",
        b"(",
        b")",
        b"(()",
        b"(a)(b)(c)%3%2%1",
        b"(abc)%1",
        b"%1",
        b"%0",
        b"([\"'])(.-)%1",
        b"a?b?c?d?",
        b"x*",
        b"-",
        b"a-b",
        b"%z",
        b"[z-a]",
    ];
    for text in texts {
        for pattern in patterns {
            for from in 0..=text.len().min(4) {
                compare(&lua, text, pattern, from);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/patterns.txt")))), ..ProptestConfig::with_cases(3_000) })]
    #[test]
    fn random_patterns_match_as_lua_s_do(text in "[ab1 (]{0,12}", pattern in "[ab1%.()\\[\\]*+?^$df -]{0,9}") {
        let lua = Lua::new();
        compare(&lua, text.as_bytes(), pattern.as_bytes(), 0);
    }
}

#[test]
fn a_pattern_that_would_take_hours_is_stopped_by_its_caller() {
    let text = vec![b'a'; 10_000];
    let steps = std::cell::Cell::new(0_u64);
    let tick = |taken| {
        steps.set(steps.get() + taken);
        if steps.get() > 1_000_000 { Err("stop") } else { Ok(()) }
    };
    let found = Matcher::new(&text, b"a*a*a*a*a*b", &tick).find(0, None, false);
    assert_eq!(found, Err(PatternError::Stopped("stop")));
    assert!(steps.get() < 1_100_000, "{} steps", steps.get());
}

#[test]
fn a_large_set_is_charged_by_its_size() {
    let text = vec![b'x'; 1_000];
    let pattern = [b"[".as_slice(), &vec![b'a'; 1_000], b"]"].concat();
    let steps = std::cell::Cell::new(0_u64);
    let tick = |taken| {
        steps.set(steps.get() + taken);
        Ok::<(), ()>(())
    };
    assert_eq!(Matcher::new(&text, &pattern, &tick).find(0, None, false), Ok(None));
    assert!(steps.get() >= 1_000_000, "{} steps", steps.get());
}
