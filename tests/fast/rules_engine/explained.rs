//! What stands beneath an error of a rule, letter by letter.

use super::*;

fn checklist() -> Value {
    let runs = map([("nowcast", map([("run date", Value::from("2026-03-14"))])), ("nowcast+", Value::Null)]);
    map([("NEMO run", runs), ("river files", list([Value::from("a.nc")]))])
}

/// The whole error of a rule with this one line.
fn error(line: &str) -> String {
    Nowcast::rule(line).checklist(checklist()).error()
}

/// What the error says of the key that was not there.
fn hint(line: &str) -> Option<String> {
    error(line)
        .lines()
        .map(str::trim)
        .find_map(|line| line.strip_prefix("= "))
        .map(str::to_owned)
        .filter(|text| !text.starts_with("the message was"))
}

#[test]
fn it_shows_line_key_and_message() {
    let nowcast = Nowcast::rule("\treturn { worker(\"a\", checklist[\"NEMO run\"].nowcst[\"run date\"]) }");
    let nowcast = nowcast.checklist(checklist()).payload(map([("run date", Value::from("2026-03-14"))]));
    assert_eq!(
        nowcast.error(),
        "next_workers.lua:3: attempt to index a nil value (field 'nowcst')
   3 |     return { worker(\"a\", checklist[\"NEMO run\"].nowcst[\"run date\"]) }
     = the checklist has no \"nowcst\" under NEMO run; did you mean `nowcast`?; the keys there are: nowcast, nowcast+
     = the message was sleep (success), payload {'run date': '2026-03-14'}
stack traceback:
  next_workers.lua:3: in function 'after_sleep'"
    );
}

#[test]
fn missing_keys_are_named() {
    for (rule, expected) in [
        ("return checklist.x.y", "the checklist has no \"x\"; the keys there are: NEMO run, river files"),
        (
            "local x = checklist.x return x.y",
            "the checklist has no \"x\"; the keys there are: NEMO run, river files",
        ),
        (
            "return 'a' .. checklist.x",
            "the checklist has no \"x\"; the keys there are: NEMO run, river files",
        ),
        (
            "return checklist['NEMO run'].x + 1",
            "the checklist has no \"x\" under NEMO run; the keys there are: nowcast, nowcast+",
        ),
        (
            "return checklist['NEMO run']['nowcast+'].x",
            "\"nowcast+\" under NEMO run of the checklist is null",
        ),
        (
            "return checklist['river files'][2].x",
            "the checklist has no 2 under river files; it is a list of 1",
        ),
        ("return config.x.y", "there is no \"x\"; the table is empty"),
    ] {
        assert_eq!(hint(rule).as_deref(), Some(expected), "{rule}");
    }
}

/// A variable may hold anything that was looked for before, or nothing of it.
#[test]
fn a_likely_cause_is_not_given_as_certain() {
    let sure = "the checklist has no \"x\"; the keys there are: NEMO run, river files";
    let perhaps = format!("perhaps because of the last key looked for and not found: {sure}");
    for (rule, expected) in [
        ("local x = checklist.x\nlocal y = 1\nreturn x.y", sure),
        ("local each = checklist['x']\nreturn (function() return each.y end)()", sure),
        ("if checklist.x < 3 then end", sure),
        ("local optional = checklist.x local t = nil return t.y", &perhaps),
        ("local optional = checklist.x\nlocal t = nil\nreturn t.y", &perhaps),
        ("local t = nil local optional = checklist.x return t.y", &perhaps),
        ("local optional = checklist.x\nlocal n = nil\nif n < 3 then end", &perhaps),
        ("local optional = checklist.x\nmath.abs(nil)", &perhaps),
        ("local optional = checklist.x\nstring.rep(nil, 3)", &perhaps),
        ("local name = 'x' local t = checklist[name] return t.y", &perhaps),
    ] {
        assert_eq!(hint(rule).as_deref(), Some(expected), "{rule}: {}", error(rule));
    }
    // Neither a global nor a method is a key of the checklist.
    for rule in ["local _ = checklist.x return nothing()", "local _ = checklist.x return ('a'):y()"] {
        assert_eq!(hint(rule), None, "{rule}: {}", error(rule));
    }
}

#[test]
fn other_errors_are_not_explained_by_it() {
    for rule in [
        "local _ = checklist.x error('no luck')",
        "local _ = checklist.x local t = {} return t.y.z",
        "local _ = checklist.x return checklist + 1",
    ] {
        assert_eq!(hint(rule), None, "{rule}: {}", error(rule));
    }
    // What a call before missed is forgotten.
    let nowcast = Nowcast::new(
        "function after_good(msg, config, checklist) return { worker(checklist.x and 'a' or 'b') } end
        function after_sleep() local t = nil return t.x end",
    )
    .checklist(checklist());
    nowcast.answer_of("good");
    assert!(!nowcast.error().contains("the checklist has no"), "{}", nowcast.error());
}

#[test]
fn a_long_payload_is_not_shown() {
    let nowcast = Nowcast::rule("error('no luck')").payload(Value::from("x".repeat(10_000)));
    assert!(
        nowcast.error().contains("= the message was sleep (success), with a long payload\n"),
        "{}",
        nowcast.error()
    );
}

#[test]
fn rules_that_cannot_be_loaded_show_their_line() {
    let (_folder, error) = match load("x = 1\nfunction after_sleep(", &EngineOptions::default()) {
        Err(error) => ((), error),
        Ok(_) => panic!("loaded"),
    };
    let text = error.to_string();
    let (_, text) = text.split_once("next_workers.lua").unwrap();
    assert_eq!(text, ":2: <name> or '...' expected near <eof>\n   2 | function after_sleep(");
}
