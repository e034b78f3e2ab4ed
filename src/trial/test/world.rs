//! What tests call: each function of a test's Lua, on the [`Scene`] of the test that runs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::diff;
use super::scene::{HowItEnds, Outcome, Scene, Sent};
use crate::config::{Config, duration};
use crate::core::{NextWorker, Number, RunId};
use crate::rules::{Argument, Call, Engine};
use crate::trial::{eval, show};
use crate::yaml::{self, Keys, Map, Value};

/// The moment at which a test begins that does not say one.
const BEGIN: &str = "2026-03-14T05:00:00";

/// How long a day is that does not say so, in hours.
const HOURS: i64 = 24;

/// How long a worker runs of which nothing is said.
const USUAL: SignedDuration = SignedDuration::from_mins(1);

type Answer = Result<Value, String>;

/// The world of the tests of one file.
pub(super) struct World {
    config: Arc<Config>,
    engine: Rc<Engine>,
    sent: Sent,
    scene: Scene,
    /// Whether the last message's rule failed and the test has not said that it was to.
    is_surprising: bool,
}

impl World {
    pub(super) fn new(config: &Arc<Config>, engine: &Rc<Engine>, sent: &Sent) -> Self {
        Self {
            config: Arc::clone(config),
            engine: Rc::clone(engine),
            sent: Rc::clone(sent),
            scene: Scene::new(config, engine, beginning(), sent),
            is_surprising: false,
        }
    }

    fn begin(&mut self) {
        self.scene = Scene::new(&self.config, &self.engine, beginning(), &self.sent);
        self.is_surprising = false;
    }

    /// A rule that failed unexpectedly fails the test.
    fn no_surprise(&self) -> Result<(), String> {
        match &self.scene.last.error {
            Some(error) if self.is_surprising => {
                Err(format!("the rule failed, and no expect_error says that it was to:\n{}", indented(error)))
            }
            _ => Ok(()),
        }
    }

    fn message(&mut self, source: &str, r#type: &str, payload: Value) -> Answer {
        self.no_surprise()?;
        self.scene.message(source, r#type, payload)?;
        self.is_surprising = self.scene.last.error.is_some();
        Ok(Value::Null)
    }

    fn last(&self) -> Result<&Outcome, String> {
        self.no_surprise()?;
        let last = &self.scene.last;
        if last.message.0.is_empty() {
            Err("there was no message yet; write message(…) before".to_owned())
        } else {
            Ok(last)
        }
    }

    fn expect_launches(&self, expected: &[String]) -> Answer {
        let last = self.last()?;
        let got: Vec<String> = last.launches.iter().map(show::launch).collect();
        diff::lines("the launches are", expected, &got).map_err(|text| text + &self.about(last))
    }

    fn expect_join(&self, expected: Option<&Argument>) -> Answer {
        let last = self.last()?;
        let shown = |join: &crate::core::JoinRequest| {
            let mut lines: Vec<String> = join.name.iter().map(|name| format!("name {name}")).collect();
            lines.extend(join.wait_for.iter().map(|wanted| format!("waits for {wanted}")));
            lines.extend(join.launch.iter().map(|worker| format!("then {}", show::launch(worker))));
            lines.extend(join.timeout.iter().map(|timeout| format!("timeout {timeout:#}")));
            lines.sort_unstable();
            lines
        };
        let expected = match expected {
            None | Some(Argument::Value(Value::Null)) => Vec::new(),
            Some(Argument::Join(join)) => shown(join),
            Some(Argument::Value(Value::List(names))) => {
                let mut lines: Vec<String> =
                    names.iter().filter_map(Value::as_str).map(|name| format!("waits for {name}")).collect();
                lines.sort_unstable();
                lines
            }
            _ => return Err("expect_join: write Join{ … }, a list of workers, or nil for none".to_owned()),
        };
        let got = last.join.as_ref().map(shown).unwrap_or_default();
        diff::lines("the join is", &expected, &got).map_err(|text| text + &self.about(last))
    }

    fn expect_error(&mut self, text: &str) -> Answer {
        self.is_surprising = false;
        match &self.scene.last.error {
            Some(error) if error.contains(text) => Ok(Value::Null),
            Some(error) => Err(format!("the rule failed otherwise than with {text:?}:\n{}", indented(error))),
            None => Err(format!(
                "the rule was to fail with {text:?}, and did not{}",
                self.about(&self.scene.last)
            )),
        }
    }

    fn expect_log(&self, text: &str) -> Answer {
        let last = self.last()?;
        if last.log.iter().any(|line| line.contains(text)) {
            return Ok(Value::Null);
        }
        Err(format!("nothing in the log contains {text:?}{}", self.about(last)))
    }

    fn expect_checklist(&self, path: &[Value], expected: &Value) -> Answer {
        self.no_surprise()?;
        let mut value = self.scene.checklist();
        for key in path {
            value = match &value {
                Value::Map(map) => map.get(key).cloned().unwrap_or_default(),
                Value::List(items) => {
                    let place = key.as_int().and_then(|place| usize::try_from(place).ok()?.checked_sub(1));
                    place.and_then(|place| items.get(place)).cloned().unwrap_or_default()
                }
                _ => Value::Null,
            };
        }
        same(&value, expected).map_err(|text| format!("the checklist is otherwise:\n{text}"))
    }

    /// Where the rule is and what was logged.
    fn about(&self, last: &Outcome) -> String {
        let (source, r#type) = &last.message;
        let rule = last.place.as_ref().map(|place| format!(" by the rule in {place}")).unwrap_or_default();
        let mut text = format!("\n  after {source} ({type}), decided{rule}");
        // The manager's own lines are about what the expectation shows.
        if let Some(error) = &last.error {
            text += &format!("\n{}", indented(error));
        }
        text
    }

    fn set_time(&mut self, time: &Argument) -> Answer {
        self.no_surprise()?;
        let text = text_of_time(time)?;
        self.scene.set_now(eval::moment(&text, &TimeZone::system())?);
        Ok(Value::Null)
    }

    fn checklist(&mut self, given: Option<&Argument>) -> Answer {
        match given {
            None => return Ok(self.scene.checklist()),
            Some(Argument::Value(Value::Map(map))) => self.scene.set_checklist((**map).clone()),
            Some(Argument::Value(Value::Str(text))) => {
                match yaml::read(text).map_err(|error| error.to_string())? {
                    Value::Map(map) => self.scene.set_checklist((*map).clone()),
                    _ => return Err("checklist: the YAML is no mapping".to_owned()),
                }
            }
            Some(_) => return Err("checklist: write a table, or YAML text of a mapping".to_owned()),
        }
        Ok(Value::Null)
    }

    fn configure(&mut self, given: Option<&Argument>) -> Answer {
        match given {
            None => return Ok(self.scene.config()),
            Some(Argument::Value(more @ Value::Map(_))) => {
                self.scene.set_config(merged(&self.scene.config(), more))
            }
            Some(_) => {
                return Err(
                    "config: write a table with what is to be otherwise than in nowcast.yaml".to_owned()
                );
            }
        }
        Ok(Value::Null)
    }

    fn launch_of(&self, given: &Argument) -> Result<NextWorker, String> {
        let text = match given {
            Argument::Launch(worker) => return Ok((**worker).clone()),
            Argument::Value(Value::Str(text)) => text,
            _ => return Err("a launch is a line as \"make_plots nowcast\", or worker(…)".to_owned()),
        };
        let mut words = shlex::split(text)
            .filter(|words| !words.is_empty())
            .ok_or_else(|| format!("{text:?} is no launch"))?;
        let host = match words.as_slice() {
            [.., on, host] if on == "on" => Some(host.clone()),
            _ => None,
        };
        words.truncate(words.len() - if host.is_some() { 2 } else { 0 });
        let name = words.remove(0);
        let package = self.config.registry.workers_package.as_ref().filter(|_| !name.contains('.'));
        let module = package.map_or(name.clone(), |package| format!("{package}.{name}"));
        let worker = NextWorker::new(module, words);
        Ok(match host {
            Some(host) => NextWorker { host, ..worker },
            None => worker,
        })
    }

    fn start(&mut self, given: &Argument, at: Option<&Argument>) -> Answer {
        let worker = self.launch_of(given)?;
        let now = self.scene.now().clone();
        let at = match at {
            None | Some(Argument::Value(Value::Null)) => now.timestamp(),
            Some(at) => moment_of_day(&text_of_time(at)?, &now)?,
        };
        self.scene.start(worker, at);
        Ok(Value::Null)
    }

    fn began(&mut self) -> Value {
        let zone = self.scene.now().time_zone().clone();
        let began = std::mem::take(&mut self.scene.began);
        let began = began.into_iter().map(|began| -> Value {
            let at = began.at.timestamp().to_zoned_datetime(zone.clone());
            [
                ("run", Value::Int(began.run.0.cast_signed())),
                ("worker", began.worker.name().into()),
                (
                    "args",
                    began.worker.args.iter().map(|arg| Value::from(arg.as_str())).collect::<Vec<_>>().into(),
                ),
                ("host", began.worker.host.as_str().into()),
                ("at", at.strftime("%Y-%m-%d %H:%M:%S").to_string().into()),
            ]
            .into_iter()
            .collect()
        });
        began.collect::<Vec<Value>>().into()
    }

    fn ends(&mut self, run: RunId, worker: &str, how: &Value) -> Answer {
        let after = match how.get("after") {
            None => USUAL,
            Some(Value::Int(seconds)) => SignedDuration::from_secs(*seconds),
            Some(Value::Str(text)) => duration::parse(text)?,
            Some(_) => return Err(format!("ends: {worker}: `after` is a span as \"12m\"")),
        };
        let status = how.get("exit").and_then(Value::as_int);
        let is_silent = status.is_some() && how.get("type").is_none();
        let r#type = how.get("type").and_then(Value::as_str).map(str::to_owned);
        let types = self.scene.types_of(worker);
        let r#type = match r#type {
            None if is_silent => None,
            None if types.is_empty() || types.iter().any(|known| known == "success") => {
                Some("success".to_owned()).filter(|_| !types.is_empty())
            }
            None => {
                let types = types.join(", ");
                return Err(format!(
                    "run_day: how does {worker} end? Say so in `ends`; its types are: {types}"
                ));
            }
            given => given,
        };
        let status = i32::try_from(status.unwrap_or(0)).unwrap_or(1);
        let payload = how.get("payload").cloned().unwrap_or_default();
        self.scene.ends(run, HowItEnds { after, r#type, payload, status })?;
        Ok(Value::Null)
    }

    /// The next thing of a day; `false` at its end.
    fn go_on(&mut self, until: Timestamp, may_fail: bool) -> Answer {
        let goes_on = self.scene.go_on(until)?;
        if !may_fail && let Some(error) = self.scene.errors.first() {
            let at = self.scene.now().strftime("%Y-%m-%d %H:%M:%S");
            return Err(format!("at {at} of the day:\n{}", indented(error)));
        }
        Ok(goes_on.into())
    }

    fn ran(&self) -> Value {
        self.scene.ran.iter().map(|began| Value::from(show::launch(&began.worker))).collect::<Vec<_>>().into()
    }

    fn expect_nothing_waits(&self) -> Answer {
        self.no_surprise()?;
        let waiting = self.scene.waiting();
        if waiting.is_empty() {
            Ok(Value::Null)
        } else {
            Err(format!("something waits:\n{}", indented(&waiting.join("\n"))))
        }
    }
}

/// The functions of a world, by their names in `lua/test.lua`.
pub(super) fn functions(world: &Rc<RefCell<World>>) -> Vec<(&'static str, Call)> {
    let call = |name: &'static str, act: fn(&mut World, &[Argument]) -> Answer| -> (&'static str, Call) {
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
        call("checklist", |world, given| world.checklist(given.first())),
        call("checklist_now", |world, _| Ok(world.scene.checklist())),
        call("config", |world, given| world.configure(given.first())),
        call("message", |world, given| {
            let (source, r#type) =
                (text("message: the worker", given.first())?, text("message: the type", given.get(1))?);
            world.message(&source, &r#type, value("message: the payload", given.get(2))?)
        }),
        call("line", |_, given| match first("a launch", given)? {
            Argument::Launch(worker) => Ok(show::launch(worker).into()),
            Argument::Value(Value::Str(text)) => Ok(text.trim().into()),
            _ => Err("a launch is a line as \"make_plots nowcast\", or worker(…)".to_owned()),
        }),
        call("expect_launches", |world, given| world.expect_launches(&texts(given.first()))),
        call("expect_join", |world, given| world.expect_join(given.first())),
        call("expect_error", |world, given| world.expect_error(&text("expect_error", given.first())?)),
        call("expect_log", |world, given| world.expect_log(&text("expect_log", given.first())?)),
        call("expect_checklist", |world, given| {
            let values: Vec<Value> =
                given.iter().map(|given| value("expect_checklist", Some(given))).collect::<Result<_, _>>()?;
            let (expected, path) =
                values.split_last().ok_or("expect_checklist: write the keys, and the value last")?;
            world.expect_checklist(path, expected)
        }),
        call("expect_equal", |_, given| {
            let value = |place| value("expect_equal", given.get(place));
            same(&value(0)?, &value(1)?).map_err(|text| format!("the two differ:\n{text}"))
        }),
        call("expect_nothing_waits", |world, _| world.expect_nothing_waits()),
        call("start", |world, given| world.start(first("start", given)?, given.get(1))),
        call("until_", |world, given| {
            let hours = match given.first() {
                None | Some(Argument::Value(Value::Null)) => HOURS,
                Some(Argument::Value(Value::Int(hours))) => *hours,
                _ => return Err("run_day: `hours` is a whole number".to_owned()),
            };
            let end = world
                .scene
                .now()
                .timestamp()
                .checked_add(SignedDuration::from_hours(hours.clamp(0, 100_000)));
            Ok(end.map_err(|error| error.to_string())?.as_second().into())
        }),
        call("began", |world, _| Ok(world.began())),
        call("ends", |world, given| {
            let Some(Argument::Value(Value::Int(run))) = given.first() else {
                return Err("no run".to_owned());
            };
            let how = value("ends", given.get(2))?;
            world.ends(Number(run.cast_unsigned()), &text("ends", given.get(1))?, &how)
        }),
        call("go_on", |world, given| {
            let Some(Argument::Value(Value::Int(until))) = given.first() else {
                return Err("no end".to_owned());
            };
            let until = Timestamp::from_second(*until).unwrap_or(Timestamp::MAX);
            let may_fail = matches!(given.get(1), Some(Argument::Value(Value::Bool(true))));
            world.go_on(until, may_fail)
        }),
        call("ran", |world, _| Ok(world.ran())),
        call("errors", |world, _| {
            Ok(world.scene.errors.iter().map(|error| Value::from(error.as_str())).collect::<Vec<_>>().into())
        }),
        call("expect_ran", |_, given| {
            diff::lines("what ran is", &texts(given.get(1)), &texts(given.first()))
        }),
        call("expect_order", |_, given| diff::order(&texts(given.get(1)), &texts(given.first()))),
        call("expect_times", |_, given| {
            let worker = text("the worker", given.get(1))?;
            let expected = value("the count", given.get(2))?.as_int().unwrap_or_default();
            let ran = texts(given.first());
            let times = ran.iter().filter(|line| line.split(' ').next() == Some(&worker)).count();
            if i64::try_from(times) == Ok(expected) {
                return Ok(Value::Null);
            }
            Err(format!(
                "{worker} ran {times} times, and {expected} times were expected; what ran:\n{}",
                indented(&ran.join("\n"))
            ))
        }),
    ]
}

fn beginning() -> ZonedDateTime {
    // It is a moment as it is written.
    eval::moment(BEGIN, &TimeZone::system())
        .unwrap_or_else(|_| Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC))
}

fn first<'a>(what: &str, given: &'a [Argument]) -> Result<&'a Argument, String> {
    given.first().ok_or_else(|| format!("{what}: something is missing"))
}

fn value(what: &str, given: Option<&Argument>) -> Result<Value, String> {
    match given {
        None => Ok(Value::Null),
        Some(Argument::Value(value)) => Ok(value.clone()),
        Some(_) => Err(format!("{what}: a value of YAML was expected")),
    }
}

fn text(what: &str, given: Option<&Argument>) -> Result<String, String> {
    match given {
        Some(Argument::Value(Value::Str(text))) => Ok(text.to_string()),
        _ => Err(format!("{what}: text was expected")),
    }
}

fn texts(given: Option<&Argument>) -> Vec<String> {
    match given {
        Some(Argument::Value(Value::List(items))) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn text_of_time(given: &Argument) -> Result<String, String> {
    match given {
        Argument::Value(Value::Str(text)) => Ok(text.to_string()),
        Argument::Value(Value::Date(date)) => Ok(date.to_string()),
        Argument::Value(Value::DateTime(time)) => Ok(time.civil.to_string()),
        _ => Err("a time is text as \"2026-03-14 05:15\", or a date".to_owned()),
    }
}

/// A time of day on the day of `now`, or a whole moment.
fn moment_of_day(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    if text.len() <= "05:15:00".len()
        && let Ok(time) = text.parse::<Time>()
    {
        let moment = now.date().to_datetime(time).to_zoned_datetime(now.time_zone().clone());
        return moment.map(|moment| moment.timestamp()).map_err(|error| error.to_string());
    }
    eval::moment(text, now.time_zone()).map(|moment| moment.timestamp())
}

/// A mapping with what another says otherwise, at every depth.
fn merged(base: &Value, more: &Value) -> Value {
    let (Value::Map(base), Value::Map(more)) = (base, more) else { return more.clone() };
    let mut map: Map = (**base).clone();
    for (key, value) in more.iter() {
        let value = map.get(key).map_or_else(|| value.clone(), |before| merged(before, value));
        map.insert(key.clone(), value);
    }
    map.into()
}

fn same(got: &Value, expected: &Value) -> Answer {
    let lines = |value: &Value| -> Vec<String> {
        yaml::write(value, Keys::Sorted).trim_end_matches("...\n").lines().map(str::to_owned).collect()
    };
    diff::lines("", &lines(expected), &lines(got))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
