//! Ours against the real `PyYAML`: random values and texts, both ways.
//!
//! `NOWCAST_CASES=20` runs twenty times as many cases as usual.

mod reference;

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence, TestError, TestRunner};
use pyyaml::{Keys, Value, python};
use reference::codec::same;
use reference::meaning::compare;
use reference::process::{Loaded, PyYaml};
use serde_json::{Map as JsonMap, Value as Json, json};

/// Runs a check on many batches of random input and shows the least input that fails it.
fn check<T: std::fmt::Debug + Clone>(
    input: BoxedStrategy<T>,
    batches: u32,
    per_batch: usize,
    check: impl Fn(&mut PyYaml, &[T]) -> Result<(), String>,
) {
    let times: u32 =
        std::env::var("NOWCAST_CASES").map_or(1, |times| times.parse().expect("NOWCAST_CASES is a number"));
    let config = Config {
        cases: batches * times,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/regressions/against_pyyaml.txt"
        )))),
        max_shrink_iters: 3000,
        ..Config::default()
    };
    let pyyaml = RefCell::new(PyYaml::start());
    let result = TestRunner::new(config).run(&vec(input, 1..=per_batch), |batch| {
        check(&mut pyyaml.borrow_mut(), &batch).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => panic!("{reason}\nthe least batch: {input:?}"),
        Err(error) => panic!("{error}"),
    }
}

fn compare_texts(pyyaml: &mut PyYaml, texts: &[String]) -> Result<(), String> {
    let theirs = pyyaml.load(texts);
    texts.iter().zip(&theirs).try_for_each(|(text, theirs)| compare(text, theirs))
}

fn options() -> BoxedStrategy<Json> {
    let choices = (
        select(vec![json!(null), json!("'"), json!("\""), json!("|"), json!(">"), json!("")]),
        select(vec![json!(null), json!(true), json!(false)]),
        any::<bool>(),
        select(vec![json!(null), json!(1), json!(10), json!(80), json!(100_000)]),
        select(vec![json!(null), json!(1), json!(4), json!(9), json!(12)]),
        (any::<bool>(), any::<bool>(), any::<bool>()),
        select(vec![json!(null), json!("\r"), json!("\n"), json!("\r\n")]),
        proptest::bool::weighted(0.2),
    );
    choices
        .prop_map(|(style, flow, unicode, width, indent, (start, end, sort), line_break, canonical)| {
            let mut options = JsonMap::new();
            options.insert("default_style".into(), style);
            options.insert("default_flow_style".into(), flow);
            options.insert("allow_unicode".into(), unicode.into());
            options.insert("width".into(), width);
            options.insert("indent".into(), indent);
            options.insert("explicit_start".into(), start.into());
            options.insert("explicit_end".into(), end.into());
            options.insert("sort_keys".into(), sort.into());
            options.insert("line_break".into(), line_break);
            options.insert("canonical".into(), canonical.into());
            Json::Object(options)
        })
        .boxed()
}

#[test]
fn what_we_write_they_read() {
    check(reference::values::value(), 25, 40, |pyyaml, values| {
        for keys in [Keys::AsGiven, Keys::Sorted] {
            let texts: Vec<String> = values.iter().map(|value| pyyaml::write(value, keys)).collect();
            for ((value, text), loaded) in values.iter().zip(&texts).zip(pyyaml.load(&texts)) {
                let agrees = match &loaded {
                    Loaded::Value(loaded) if keys == Keys::AsGiven => same(value, loaded),
                    Loaded::Value(loaded) => value == loaded,
                    _ => false,
                };
                if !agrees {
                    return Err(format!("{value:?}\n{text:?}\n{loaded:?}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn what_they_write_we_read() {
    check((reference::values::value(), options()).boxed(), 40, 40, |pyyaml, values| {
        let texts = pyyaml.dump(values);
        // PyYAML cannot read all that it writes, so that its own reader says what is right.
        compare_texts(pyyaml, &texts)
    });
}

#[test]
fn we_write_what_they_write() {
    check(reference::values::value(), 40, 40, |pyyaml, values| {
        for (keys, sort_keys) in [(Keys::Sorted, true), (Keys::AsGiven, false)] {
            let requests: Vec<(Value, Json)> =
                values.iter().map(|value| (value.clone(), json!({"sort_keys": sort_keys}))).collect();
            for (value, theirs) in values.iter().zip(pyyaml.dump(&requests)) {
                let ours = pyyaml::write(value, keys);
                let is_comparable = sort_keys && !has_unsortable_set(value) || !has_set(value);
                if is_comparable && ours != theirs {
                    return Err(format!("{value:?}\n  ours: {ours:?}\ntheirs: {theirs:?}"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn one_text_has_one_meaning() {
    check(reference::documents::soup(), 100, 100, compare_texts);
}

#[test]
fn one_document_has_one_meaning() {
    check(reference::documents::document(), 60, 100, compare_texts);
}

#[test]
fn one_scalar_has_one_type() {
    let scalar = prop_oneof![
        reference::values::text(),
        "[-+]?[0-9][0-9_]{0,3}[.:eEx]?[-+]?[0-9_]{0,4}([.:][0-9_]{0,3}){0,3}"
    ];
    let tag = select(vec!["", "", "", "!!int ", "!!float ", "!!timestamp ", "!!bool "]);
    let text = (tag, scalar).prop_map(|(tag, text)| format!("{tag}{text}"));
    check(text.boxed(), 50, 200, compare_texts);
}

#[test]
fn values_look_as_python_shows_them() {
    check(reference::values::value(), 30, 40, |pyyaml, values| {
        for (value, theirs) in values.iter().zip(pyyaml.shown("pformat", values)) {
            let ours = python::pformat(value);
            if !has_unordered(value) && ours != theirs {
                return Err(format!("{value:?}\n  ours:\n{ours}\ntheirs:\n{theirs}"));
            }
        }
        let texts: Vec<Value> = values.iter().filter(|value| value.as_str().is_some()).cloned().collect();
        for (value, theirs) in texts.iter().zip(pyyaml.shown("repr", &texts)) {
            let ours = python::repr(value.as_str().unwrap_or_default());
            if !has_new_characters(&theirs) && ours != theirs {
                return Err(format!("  ours: {ours}\ntheirs: {theirs}"));
            }
        }
        Ok(())
    });
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(items) => items.iter().collect(),
        Value::Map(map) => map.iter().flat_map(|(key, value)| [key, value]).collect(),
        Value::Set(set) => set.iter().collect(),
        _ => Vec::new(),
    }
}

/// Python has no order of its own for the members of a set.
fn has_set(value: &Value) -> bool {
    matches!(value, Value::Set(set) if set.len() > 1) || children(value).into_iter().any(has_set)
}

fn kinds(keys: &[&Value]) -> usize {
    let kind = |value: &&Value| match value {
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => "number",
        Value::DateTime(time) if time.offset.is_some() => "time with an offset",
        other => other.kind(),
    };
    let mut kinds: Vec<&str> = keys.iter().map(kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.len()
}

fn has_unsortable_set(value: &Value) -> bool {
    let is_unsortable = matches!(value, Value::Set(set) if kinds(&set.iter().collect::<Vec<_>>()) > 1);
    is_unsortable || children(value).into_iter().any(has_unsortable_set)
}

/// Where `pprint` goes by hashes and addresses: sets, and keys that Python cannot sort. And characters that
/// Python's Unicode tables may not know.
fn has_unordered(value: &Value) -> bool {
    let is_mixed = match value {
        Value::Map(map) => kinds(&map.keys().collect::<Vec<_>>()) > 1,
        Value::Str(text) => !text.is_ascii(),
        other => has_set(other),
    };
    is_mixed || children(value).into_iter().any(has_unordered)
}

/// Whether Python escaped a character that Unicode may have got since.
fn has_new_characters(shown: &str) -> bool {
    shown.contains("\\u") || shown.contains("\\U")
}
