//! A simulated day of a test: its first launches, the outcomes of runs, and the runs that there were.

use jiff::{SignedDuration, Timestamp};

use super::arguments::{moment_of_day, only, text_of_time};
use super::line;
use super::scene::HowItEnds;
use super::world::{TestFunctionResult, TestWorld, indented};
use crate::config::duration;
use crate::rules::Argument;
use crate::trial::show;
use nowcast_core::{Number, RunId};
use pyyaml::Value;

/// The default length of a day, in hours.
const HOURS: i64 = 24;

/// The maximum length of a day, in hours: eleven years.
const MOST_HOURS: i64 = 100_000;

/// The default duration of a run.
const USUAL: SignedDuration = SignedDuration::from_mins(1);

impl TestWorld {
    /// Begin a day after checking the arguments of `run_day`. Return the end of the day, in seconds.
    pub(super) fn begin_day(
        &mut self,
        keys: &Value,
        workers: &[String],
        hours: &Value,
    ) -> TestFunctionResult {
        only("run_day", keys, &["start", "ends", "hours", "errors_expected"])?;
        for worker in workers {
            self.scene.is_worker(worker).map_err(|text| format!("run_day: ends: {text}"))?;
        }
        let hours = match hours {
            Value::Null => HOURS,
            Value::Int(hours) => (*hours).clamp(0, MOST_HOURS),
            _ => return Err("run_day: `hours` is a whole number".to_owned()),
        };
        let end = self.scene.now().timestamp().checked_add(SignedDuration::from_hours(hours));
        self.no_surprise()?;
        self.scene.begin_day();
        Ok(end.map_err(|error| error.to_string())?.as_second().into())
    }

    pub(super) fn start(&mut self, given: &Argument, at: Option<&Argument>) -> TestFunctionResult {
        let worker = line::launch(given, &self.config).map_err(|text| format!("run_day: start: {text}"))?;
        let now = self.scene.now().clone();
        let at = match at {
            None | Some(Argument::Value(Value::Null)) => now.timestamp(),
            Some(at) => moment_of_day(&text_of_time(at)?, &now)?,
        };
        if at < now.timestamp() {
            return Err(format!(
                "run_day: start: {} is to start before the day begins, which is at {}",
                show::launch(&worker),
                now.strftime("%Y-%m-%d %H:%M")
            ));
        }
        self.scene.start(worker, at);
        Ok(Value::Null)
    }

    /// Return the runs that began since the last call.
    pub(super) fn began(&mut self) -> Value {
        let zone = self.scene.now().time_zone().clone();
        let began = std::mem::take(&mut self.scene.began);
        let began = began.into_iter().map(|began| -> Value {
            let at = began.at.timestamp().to_zoned_datetime(zone.clone());
            let args = began.worker.args.iter().map(|arg| Value::from(arg.as_str()));
            [
                ("run", Value::Int(began.run.0.cast_signed())),
                ("worker", began.worker.name().into()),
                ("args", args.collect::<Vec<_>>().into()),
                ("host", began.worker.host.as_str().into()),
                ("at", at.strftime("%Y-%m-%d %H:%M:%S").to_string().into()),
            ]
            .into_iter()
            .collect()
        });
        began.collect::<Vec<Value>>().into()
    }

    /// Set the ending of a run from the value of `ends`.
    pub(super) fn ends(&mut self, run: i64, worker: &str, how: &Value) -> TestFunctionResult {
        let what = format!("run_day: ends: {worker}");
        if !matches!(how, Value::Null | Value::Map(_)) {
            return Err(format!(
                "{what}: write a table as {{ type = \"success\", after = \"12m\" }}, or a function that returns one"
            ));
        }
        only(&what, how, &["type", "payload", "after", "exit"])?;
        let after = match how.get("after") {
            None => USUAL,
            Some(Value::Int(seconds)) => SignedDuration::from_secs(*seconds),
            Some(Value::Str(text)) => {
                duration::parse(text).map_err(|error| format!("{what}: after: {error}"))?
            }
            Some(_) => return Err(format!("{what}: after: a span is text as \"12m\", or seconds")),
        };
        let status = match how.get("exit") {
            None => None,
            Some(Value::Int(status)) => Some(i32::try_from(*status).unwrap_or(1)),
            Some(_) => return Err(format!("{what}: exit: a status is a whole number")),
        };
        let r#type = match how.get("type") {
            Some(Value::Str(r#type)) => Some(r#type.to_string()),
            Some(_) => return Err(format!("{what}: type: text was expected")),
            None if status.is_some() => None,
            None => self.usual_type(worker)?,
        };
        let payload = how.get("payload").cloned().unwrap_or_default();
        let how = HowItEnds { after, r#type, payload, status: status.unwrap_or(0) };
        let run: RunId = Number(run.cast_unsigned());
        self.scene.ends(run, worker, how).map_err(|text| format!("run_day: ends: {text}"))?;
        Ok(Value::Null)
    }

    /// Return the default message type of a worker, or `None` if it is not registered.
    fn usual_type(&self, worker: &str) -> Result<Option<String>, String> {
        let types = self.scene.types_of(worker);
        if types.is_empty() {
            return Ok(None);
        }
        if types.iter().any(|known| known == "success") {
            return Ok(Some("success".to_owned()));
        }
        let types = types.join(", ");
        Err(format!("run_day: how does {worker} end? Say so in `ends`; its types are: {types}"))
    }

    /// Proceed to the next event of a day; return `false` at its end.
    pub(super) fn go_on(&mut self, until: i64, may_fail: bool) -> TestFunctionResult {
        let goes_on = self.scene.go_on(Timestamp::from_second(until).unwrap_or(Timestamp::MAX))?;
        if !may_fail && let Some(error) = self.scene.errors.first() {
            let at = self.scene.now().strftime("%Y-%m-%d %H:%M:%S");
            return Err(format!("at {at} of the day:\n{}", indented(error)));
        }
        Ok(goes_on.into())
    }

    pub(super) fn ran(&self) -> Value {
        self.scene.ran.iter().map(|began| Value::from(show::launch(&began.worker))).collect::<Vec<_>>().into()
    }

    pub(super) fn errors(&self) -> Value {
        self.scene.errors.iter().map(|error| Value::from(error.as_str())).collect::<Vec<_>>().into()
    }

    /// Check that a worker ran `expected` times.
    pub(super) fn expect_times(&self, ran: &[String], worker: &str, expected: &Value) -> TestFunctionResult {
        let Value::Int(expected) = expected else {
            return Err(format!("expect_times: {worker}: how many times? A whole number was expected"));
        };
        self.scene.is_worker(worker)?;
        let times = ran.iter().filter(|line| line.split(' ').next() == Some(worker)).count();
        if i64::try_from(times) == Ok(*expected) {
            return Ok(Value::Null);
        }
        let count = |times: i64| match times {
            0 => "never".to_owned(),
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        Err(format!(
            "{worker} ran {}, not {} as expected; what ran:\n{}",
            count(i64::try_from(times).unwrap_or(i64::MAX)),
            count(*expected),
            if ran.is_empty() { "    (nothing)".to_owned() } else { indented(&ran.join("\n")) }
        ))
    }
}
