//! The schema of the configuration has the settings that the program reads.

use std::collections::BTreeSet;
use std::path::Path;

use nowcast::config::{self, schema};
use serde_json::Value;

/// Return the problems of a configuration with this section.
fn problems(section: &str) -> Vec<String> {
    let text = format!("message registry: {{workers: {{sleep: }}}}\n{section}");
    let read = config::parse(Path::new("nowcast.yaml"), text.as_bytes(), &|_| Some("/tmp".to_owned()));
    let problems = read.map_or_else(|error| error.problems, |(_, problems)| problems);
    problems.into_iter().map(|problem| problem.text).collect()
}

/// Return the schemas of a place, of which one must hold: below these keys, `*` for any.
fn schemas<'s>(schema: &'s Value, keys: &[&str]) -> Vec<&'s Value> {
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        return alternatives.iter().flat_map(|schema| schemas(schema, keys)).collect();
    }
    let Some((key, rest)) = keys.split_first() else { return vec![schema] };
    let below = match *key {
        "*" => schema.get("items").or(schema.get("additionalProperties")),
        key => schema.get("properties").and_then(|properties| properties.get(key)),
    };
    below.into_iter().flat_map(|below| schemas(below, rest)).collect()
}

/// Return the settings that a place of the schema has; of several kinds of settings, those of the one with this setting.
fn settings(keys: &[&str], of_kind: &str) -> BTreeSet<String> {
    let schema = schema();
    let found = schemas(&schema, keys);
    let all = found
        .iter()
        .filter_map(|schema| Some(schema.get("properties")?.as_object()?.keys().cloned().collect()));
    let mut of_kind =
        all.filter(|settings: &BTreeSet<String>| of_kind.is_empty() || settings.contains(of_kind));
    of_kind.next().unwrap_or_else(|| panic!("no settings at {keys:?}"))
}

#[test]
fn the_schema_has_the_settings_of_each_section_and_no_others() {
    for (section, keys, of_kind) in [
        ("broker: {zzz: 1}", &["broker"][..], ""),
        ("journal: {zzz: 1}", &["journal"], ""),
        ("workers: {sleep: {zzz: 1}}", &["workers", "*"], ""),
        ("hosts: {salish: {zzz: 1}}", &["hosts", "*"], "launcher"),
        ("expect: [{zzz: 1}]", &["expect", "*"], ""),
        ("cycles: {zzz: 1}", &["cycles"], ""),
        ("cycles: {done: [{zzz: 1}]}", &["cycles", "done", "*"], ""),
        ("security: {zzz: 1}", &["security"], ""),
        ("security: {bind: {zzz: 1}}", &["security", "bind"], ""),
        ("security: {allow: {zzz: 1}}", &["security", "allow"], ""),
        ("security: {curve: {zzz: 1}}", &["security", "curve"], "keys"),
        ("security: {limits: {zzz: 1}}", &["security", "limits"], ""),
        ("security: {limits: {connections: {zzz: 1}}}", &["security", "limits", "connections"], ""),
        ("notifications: {web: {url: x, zzz: 1}}", &["notifications", "*"], "escape"),
        ("notifications: {mail: {to: x, zzz: 1}}", &["notifications", "*"], "server"),
        ("notifications: {beat: {every: 5m, zzz: 1}}", &["notifications", "*"], "every"),
    ] {
        let problems = problems(section);
        let known =
            problems.iter().find_map(|text| text.split_once("there is no setting `zzz` here; known: "));
        let (_, known) = known.unwrap_or_else(|| panic!("{section}: {problems:?}"));
        let known: BTreeSet<String> =
            known.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        assert_eq!(settings(keys, of_kind), known, "{section}");
    }
}

#[test]
fn each_setting_of_a_schedule_means_something() {
    let settings = settings(&["scheduled workers", "*", "*"], "");
    assert!(settings.len() > 5);
    for name in settings {
        let problems = problems(&format!("scheduled workers: [sleep: {{{name}: x}}]"));
        assert!(!problems.iter().any(|text| text.contains("means nothing here")), "{name}: {problems:?}");
    }
}

#[test]
fn each_section_and_setting_is_described() {
    fn check(schema: &Value, place: &str) {
        for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let place = format!("{place}: {name}");
            let alternatives = below.get("anyOf").and_then(Value::as_array).into_iter().flatten();
            let mut described = [below].into_iter().chain(alternatives.clone());
            assert!(described.any(|schema| schema["description"].is_string()), "{place}: {below}");
            [below].into_iter().chain(alternatives).for_each(|below| check(below, &place));
        }
        for key in ["items", "additionalProperties"] {
            schema.get(key).into_iter().for_each(|below| check(below, place));
        }
    }
    check(&schema(), "");
    assert_eq!(
        schema()["properties"]["zmq"]["properties"]["ports"]["properties"]["manager"]["default"],
        4343
    );
}
