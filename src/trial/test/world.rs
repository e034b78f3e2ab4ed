//! The messages and expectations of the running test, on its [`Scene`].
//!
//! Days are in `day`, the functions that tests call in `functions`.

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::arguments::{text_of_time, texts};
use super::diff;
use super::scene::{Scene, SceneOutcome, Sent};
use crate::config::Config;
use crate::rules::{Argument, Engine, since_of_text};
use crate::trial::{eval, show};
use nowcast_core::message::Message;
use nowcast_core::{Cycle, JoinRequest};
use pyyaml::{DateTime, Keys, Map, Value};

/// The default time at which a test begins.
const BEGIN: &str = "2026-03-14T05:00:00";

pub(super) type TestFunctionResult = Result<Value, String>;

/// The world of the tests of one file.
pub(super) struct TestWorld {
    pub(super) config: Arc<Config>,
    engine: Rc<Engine>,
    sent: Sent,
    pub(super) scene: Scene,
    /// Whether the last message's rule failed, and the test has not expected it.
    is_surprising: bool,
}

impl TestWorld {
    pub(super) fn new(config: &Arc<Config>, engine: &Rc<Engine>, sent: &Sent) -> Self {
        Self {
            config: Arc::clone(config),
            engine: Rc::clone(engine),
            sent: Rc::clone(sent),
            scene: Scene::new(config, engine, beginning(), sent),
            is_surprising: false,
        }
    }

    pub(super) fn begin(&mut self) {
        self.scene = Scene::new(&self.config, &self.engine, beginning(), &self.sent);
        self.is_surprising = false;
    }

    /// Return an error if a rule failed unexpectedly.
    pub(super) fn no_surprise(&self) -> Result<(), String> {
        match &self.scene.last.error {
            Some(error) if self.is_surprising => {
                Err(format!("the rule failed, and no expect_error says that it was to:\n{}", indented(error)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn message(
        &mut self,
        source: &str,
        r#type: &str,
        payload: Value,
        cycle: Option<Cycle>,
    ) -> TestFunctionResult {
        self.no_surprise()?;
        self.scene.message(Message { cycle, ..Message::new(source, r#type, payload) })?;
        self.is_surprising = self.scene.last.error.is_some();
        Ok(Value::Null)
    }

    fn last(&self) -> Result<&SceneOutcome, String> {
        self.no_surprise()?;
        let last = &self.scene.last;
        if last.message.0.is_empty() {
            Err("there was no message yet; write message(…) before".to_owned())
        } else {
            Ok(last)
        }
    }

    pub(super) fn expect_launches(&self, expected: &[String]) -> TestFunctionResult {
        let last = self.last()?;
        let got: Vec<String> = last.launches.iter().map(show::launch).collect();
        diff::lines("the launches are", expected, &got).map_err(|text| text + &Self::about(last))
    }

    /// Check the join that the rule opened: a whole `Join{ … }`, only the keys of a table, a list of workers, or nil
    /// for no join. For a table, the keys and the launches are given as further arguments.
    pub(super) fn expect_join(&self, given: &[Argument]) -> TestFunctionResult {
        let last = self.last()?;
        let mut got = last.join.as_ref().map(join_lines).unwrap_or_default();
        let expected = match given.first() {
            None | Some(Argument::Value(Value::Null)) => Vec::new(),
            Some(Argument::Join(join)) => {
                let mut expected = join_lines(join);
                if let Some(keys @ Argument::Value(Value::List(_))) = given.get(1) {
                    let keys = texts(Some(keys));
                    let launches =
                        texts(given.get(2)).into_iter().map(|launch| ("launch", format!("then {launch}")));
                    expected.extend(launches);
                    let is_said = |(key, _): &(&str, String)| keys.iter().any(|given| given == key);
                    expected.retain(is_said);
                    got.retain(is_said);
                }
                expected
            }
            Some(names @ Argument::Value(Value::List(_))) => {
                got.retain(|(key, _)| *key == "wait_for");
                texts(Some(names)).iter().map(|name| ("wait_for", format!("waits for {name}"))).collect()
            }
            _ => {
                return Err("expect_join: write a table as { name = \"…\", wait_for = { … } }, a list of workers, or nil for \
                            none"
                    .to_owned());
            }
        };
        let sorted = |lines: Vec<(&str, String)>| {
            let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
            lines.sort_unstable();
            lines
        };
        diff::lines("the join is", &sorted(expected), &sorted(got)).map_err(|text| text + &Self::about(last))
    }

    pub(super) fn expect_error(&mut self, text: &str) -> TestFunctionResult {
        self.is_surprising = false;
        match &self.scene.last.error {
            Some(error) if error.contains(text) => Ok(Value::Null),
            Some(error) => Err(format!("the rule failed otherwise than with {text:?}:\n{}", indented(error))),
            None => Err(format!(
                "the rule was to fail with {text:?}, and did not{}",
                Self::about(&self.scene.last)
            )),
        }
    }

    pub(super) fn expect_log(&self, text: &str) -> TestFunctionResult {
        let last = self.last()?;
        if last.log.iter().any(|line| line.contains(text)) {
            return Ok(Value::Null);
        }
        Err(format!(
            "nothing in the log contains {text:?}; what was logged:\n{}\n  after {} ({})",
            if last.log.is_empty() { "    (nothing)".to_owned() } else { indented(&last.log.join("\n")) },
            last.message.0,
            last.message.1
        ))
    }

    pub(super) fn expect_checklist(&self, path: &[Value], expected: &Value) -> TestFunctionResult {
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
        same(&value, expected).map_err(|text| {
            let path = path.iter().map(key_text).collect::<Vec<_>>().join(": ");
            format!("the checklist's {path} is not as expected (- expected, + came):\n{text}")
        })
    }

    /// Return the place of the rule, its log lines and its error, as text.
    fn about(last: &SceneOutcome) -> String {
        let (source, r#type) = &last.message;
        let rule =
            last.place.as_ref().map(|place| format!(", decided by the rule in {place}")).unwrap_or_default();
        let mut text = format!("\n  after {source} ({type}){rule}");
        if !last.rule_log.is_empty() {
            let _ = write!(text, "\n  its log:\n{}", indented(&last.rule_log.join("\n")));
        }
        if let Some(error) = &last.error {
            let _ = write!(text, "\n{}", indented(error));
        }
        text
    }

    pub(super) fn set_time(&mut self, time: &Argument) -> TestFunctionResult {
        self.no_surprise()?;
        let text = text_of_time(time)?;
        self.scene.set_now(eval::moment(&text, &TimeZone::system())?);
        Ok(Value::Null)
    }

    /// Return the time as rules see it.
    pub(super) fn now(&self) -> Value {
        as_date(self.scene.now())
    }

    /// Return the moment that `since` of a join means now. Values other than text mean the same at any time.
    pub(super) fn since(&self, given: &Argument) -> TestFunctionResult {
        let Argument::Value(value) = given else {
            return Err("expect_join: since: text was expected".to_owned());
        };
        let text = match value {
            Value::Str(text) => text.to_string(),
            Value::Date(date) => date.to_string(),
            Value::Int(seconds) => format!("{seconds}s"),
            other => return Ok(other.clone()),
        };
        let now = self.scene.now();
        let moment = since_of_text(now, &text)
            .ok_or_else(|| format!("expect_join: since: {text:?} is not a time of day, a date or a span"))?;
        Ok(as_date(&moment.to_zoned_datetime(now.time_zone().clone())))
    }

    pub(super) fn checklist(&mut self, given: Option<&Argument>) -> TestFunctionResult {
        match given {
            None => return Ok(self.scene.checklist()),
            Some(Argument::Value(Value::Map(map))) => self.scene.set_checklist((**map).clone()),
            Some(Argument::Value(Value::Str(text))) => {
                match pyyaml::read(text).map_err(|error| error.to_string())? {
                    Value::Map(map) => self.scene.set_checklist((*map).clone()),
                    _ => return Err("checklist: the YAML is not a mapping".to_owned()),
                }
            }
            Some(_) => return Err("checklist: write a table, or YAML text of a mapping".to_owned()),
        }
        Ok(Value::Null)
    }

    pub(super) fn configure(&mut self, given: Option<&Argument>) -> TestFunctionResult {
        match given {
            None => return Ok(self.scene.config()),
            Some(Argument::Value(more @ Value::Map(_))) => {
                self.scene.set_config(merged(&self.scene.config(), more));
            }
            Some(_) => {
                return Err(
                    "config: write a table with what is to be otherwise than in nowcast.yaml".to_owned()
                );
            }
        }
        Ok(Value::Null)
    }

    pub(super) fn expect_nothing_waits(&self) -> TestFunctionResult {
        self.no_surprise()?;
        let waiting = self.scene.waiting();
        if waiting.is_empty() {
            Ok(Value::Null)
        } else {
            Err(format!("something waits:\n{}", indented(&waiting.join("\n"))))
        }
    }
}

fn as_date(moment: &ZonedDateTime) -> Value {
    Value::DateTime(DateTime { civil: moment.datetime(), offset: Some(moment.offset().seconds()) })
}

fn beginning() -> ZonedDateTime {
    // The text is a valid time.
    eval::moment(BEGIN, &TimeZone::system())
        .unwrap_or_else(|_| Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC))
}

/// Return the lines of a join, each with its key in `Join{ … }`.
fn join_lines(join: &JoinRequest) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&str, String)> =
        join.name.iter().map(|name| ("name", format!("name {name}"))).collect();
    lines.extend(join.wait_for.iter().map(|requirement| ("wait_for", format!("waits for {requirement}"))));
    lines.extend(join.launch.iter().map(|worker| ("launch", format!("then {}", show::launch(worker)))));
    lines.extend(show::scope(join).map(|(key, value)| (key, format!("{key} {value}"))));
    lines.extend(join.timeout.iter().map(|timeout| ("timeout", format!("timeout {timeout:#}"))));
    lines
}

/// Return a mapping that is overridden by another, at every depth.
fn merged(base: &Value, more: &Value) -> Value {
    let (Value::Map(base), Value::Map(more)) = (base, more) else { return more.clone() };
    let mut map: Map = (**base).clone();
    for (key, value) in more.iter() {
        let value = map.get(key).map_or_else(|| value.clone(), |before| merged(before, value));
        map.insert(key.clone(), value);
    }
    map.into()
}

/// Format a key as YAML, on one line.
fn key_text(key: &Value) -> String {
    key.as_str().map_or_else(
        || pyyaml::write(key, Keys::Sorted).lines().next().unwrap_or_default().to_owned(),
        str::to_owned,
    )
}

pub(super) fn same(got: &Value, expected: &Value) -> TestFunctionResult {
    let lines = |value: &Value| -> Vec<String> {
        pyyaml::write(value, Keys::Sorted).trim_end_matches("...\n").lines().map(str::to_owned).collect()
    };
    diff::lines("", &lines(expected), &lines(got))
}

pub(super) fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
