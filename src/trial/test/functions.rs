//! The Rust functions that a test's Lua calls, by the names in `rules/lua/test.lua`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::arguments::{cycle, first, only, text, texts, value};
use super::diff;
use super::line;
use super::world::{TestFunctionResult, TestWorld, same};
use crate::rules::{Argument, ScriptFunction};
use pyyaml::{Set, Value};

/// Return the functions of a world.
pub(super) fn functions(world: &Rc<RefCell<TestWorld>>) -> Vec<(&'static str, ScriptFunction)> {
    let call = |name: &'static str,
                act: fn(&mut TestWorld, &[Argument]) -> TestFunctionResult|
     -> (&'static str, ScriptFunction) {
        let world = Rc::clone(world);
        (name, Box::new(move |arguments| act(&mut world.borrow_mut(), &arguments)))
    };
    vec![
        call("begin", |world, _| {
            world.begin();
            Ok(Value::Null)
        }),
        call("finish", |world, _| world.no_surprise().map(|()| Value::Null)),
        call("at", |world, given| world.set_time(first("at", given)?)),
        call("now", |world, _| Ok(world.now())),
        call("checklist", |world, given| world.checklist(given.first())),
        call("checklist_now", |world, _| Ok(world.scene.checklist())),
        call("config", |world, given| world.configure(given.first())),
        call("message", |world, given| {
            let (source, r#type) =
                (text("message: the worker", given.first())?, text("message: the type", given.get(1))?);
            let payload = value("message: the payload", given.get(2))?;
            world.message(&source, &r#type, payload, cycle("message", given.get(3))?)
        }),
        call("only_of_message", |_, given| {
            let keys = value("message", given.first())?;
            only("message", &keys, &["source", "type", "payload", "cycle"]).map(|()| Value::Null)
        }),
        call("set", |_, given| {
            let members = value("set", given.first())?;
            let members = match &members {
                Value::List(items) => items.iter().cloned().collect(),
                Value::Map(map) if map.is_empty() => Set::new(),
                _ => return Err("set: write its members in braces, as in set{ \"a\", \"b\" }".to_owned()),
            };
            Ok(Value::Set(Arc::new(members)))
        }),
        call("line", |_, given| line::compared(first("a launch", given)?).map(Value::from)),
        call("words", |_, given| {
            let words = line::words(&text("a launch: the worker", given.first())?)?;
            Ok(words.into_iter().map(Value::from).collect::<Vec<Value>>().into())
        }),
        call("expect_launches", |world, given| world.expect_launches(&texts(given.first()))),
        call("expect_join", |world, given| world.expect_join(given)),
        call("since", |world, given| world.since(first("expect_join", given)?)),
        call("expect_error", |world, given| world.expect_error(&text("expect_error", given.first())?)),
        call("expect_log", |world, given| world.expect_log(&text("expect_log", given.first())?)),
        call("expect_checklist", |world, given| {
            let values: Vec<Value> =
                given.iter().map(|given| value("expect_checklist", Some(given))).collect::<Result<_, _>>()?;
            match values.split_last() {
                Some((expected, path)) if !path.is_empty() => world.expect_checklist(path, expected),
                _ => Err("expect_checklist: write the keys, and the value last".to_owned()),
            }
        }),
        call("expect_equal", |_, given| {
            let value = |place| value("expect_equal", given.get(place));
            same(&value(0)?, &value(1)?)
                .map_err(|text| format!("the two differ (- the second, + the first):\n{text}"))
        }),
        call("expect_nothing_waits", |world, _| world.expect_nothing_waits()),
        call("begin_day", |world, given| {
            let [keys, hours] = [0, 2].map(|place| value("run_day", given.get(place)));
            world.begin_day(&keys?, &texts(given.get(1)), &hours?)
        }),
        call("start", |world, given| world.start(first("start", given)?, given.get(1))),
        call("began", |world, _| Ok(world.began())),
        call("ends", |world, given| {
            let run = value("ends", given.first())?.as_int().unwrap_or_default();
            world.ends(run, &text("ends", given.get(1))?, &value("ends", given.get(2))?)
        }),
        call("go_on", |world, given| {
            let until = value("run_day", given.first())?.as_int().unwrap_or_default();
            world.go_on(until, matches!(given.get(1), Some(Argument::Value(Value::Bool(true)))))
        }),
        call("ran", |world, _| Ok(world.ran())),
        call("errors", |world, _| Ok(world.errors())),
        call("expect_ran", |_, given| {
            diff::lines("what ran is", &texts(given.get(1)), &texts(given.first()))
        }),
        call("expect_order", |_, given| diff::order(&texts(given.get(1)), &texts(given.first()))),
        call("expect_times", |world, given| {
            let worker = text("the worker", given.get(1))?;
            world.expect_times(&texts(given.first()), &worker, &value("the count", given.get(2))?)
        }),
    ]
}
