//! The options of a launch: `{ host = "…", delay = "10m", at = "05:15", … }`.
//!
//! It never reads a clock: the meaning of a time of day depends on the time of the message alone.

use jiff::civil::Time;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use mlua::{Lua, Value as LuaValue};

use super::call_state::CallState;
use super::items::{entries, known};
use super::kind::{described, kind_name, whole};
use super::moment::Moment;
use super::name::name;
use crate::config::duration;
use nowcast_core::{Cycle, CycleOption, NextWorker};

/// The options, in the order in which `lua/types.lua` declares them.
pub(super) const KNOWN: [&str; 8] =
    ["host", "delay", "at", "timeout", "retries", "retry_delay", "env", "cycle"];

/// The most retries of one launch; more are a mistake.
const MOST_RETRIES: i64 = 1_000;
/// The most environment variables of one launch.
const MOST_VARIABLES: usize = 1_000;
/// The longest duration: ten years; a longer one is a mistake of units.
const LONGEST_SPAN: SignedDuration = SignedDuration::from_hours(24 * 3_653);
/// The longest text that is parsed as a time or a duration, in bytes.
const LONGEST_TEXT: usize = 100;

/// Apply a rule's table of options to a launch.
pub(super) fn apply(
    lua: &Lua,
    call: &CallState,
    worker: &mut NextWorker,
    options: &LuaValue,
) -> Result<(), String> {
    let Some(given) = entries(lua, options, "the table of options")? else {
        let kind = kind_name(options);
        return Err(format!("the options must be a table, as in {{ host = \"…\" }}, got {kind}"));
    };
    for (option, value) in known(given, "option", &KNOWN)? {
        let options = &mut worker.options;
        match option {
            "host" => worker.host = name(call, "the host", &value)?,
            "delay" => options.delay = Some(span(option, &value)?),
            "at" => options.at = Some(at(call, &value)?),
            "timeout" => options.timeout = Some(time_limit(option, &value)?),
            "retries" => options.retries = Some(retries(&value)?),
            "retry_delay" => options.retry_delay = Some(span(option, &value)?),
            "env" => options.env = env(lua, call, &value)?,
            _ => options.cycle = Some(cycle(option, &value)?),
        }
    }
    Ok(())
}

fn wrong(option: &str, value: &LuaValue, remedy: &str) -> String {
    format!("the option {option} is {}; {remedy}", described(value))
}

/// Read a duration: text as in the configuration, or a whole number of seconds.
pub(super) fn span(option: &str, value: &LuaValue) -> Result<SignedDuration, String> {
    let span = match value {
        LuaValue::String(text) if text.as_bytes().len() <= LONGEST_TEXT => {
            text.to_str().ok().and_then(|text| duration::parse(&text).ok())
        }
        other => whole(other).filter(|seconds| *seconds >= 0).map(SignedDuration::from_secs),
    };
    match span {
        Some(span) if span <= LONGEST_SPAN => Ok(span),
        Some(_) => Err(wrong(option, value, "more than ten years are a mistake")),
        None => Err(wrong(
            option,
            value,
            "write a span of time, as in \"10m\" or \"1h 30m\", or a whole number of seconds",
        )),
    }
}

/// Read a duration after which something ends; zero is refused, because it would end before it began.
pub(super) fn time_limit(option: &str, value: &LuaValue) -> Result<SignedDuration, String> {
    let span = span(option, value)?;
    if span.is_zero() { Err(wrong(option, value, "a timeout must be longer than nothing")) } else { Ok(span) }
}

fn retries(value: &LuaValue) -> Result<u32, String> {
    let count = whole(value).filter(|count| (0..=MOST_RETRIES).contains(count));
    count
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| wrong("retries", value, &format!("write a whole number from 0 to {MOST_RETRIES}")))
}

fn at(call: &CallState, value: &LuaValue) -> Result<Timestamp, String> {
    let remedy = "write a time of day as \"05:15\", a date and time as \"2026-03-14 05:15\", or a date object, as in \
                  now():shift{ hours = 2 }";
    moment(call, "at", value, next, remedy)
}

/// Read the moment from which on messages count in a join: a time of day that was, a date, or how long before the message.
pub(super) fn since(call: &CallState, value: &LuaValue) -> Result<Timestamp, String> {
    let remedy = "write a time of day as \"06:00\", a date as \"2026-03-14\" or \"2026-03-14 06:00\", a date object, or \
                  a span before the message as \"6h\"";
    match (value, call.now()) {
        (LuaValue::String(text), Some(now)) => {
            let moment = text.to_str().ok().and_then(|text| since_of_text(&now, &text));
            moment.ok_or_else(|| wrong("since", value, remedy))
        }
        (LuaValue::Integer(_) | LuaValue::Number(_), now) => {
            let span = span("since", value).map_err(|_| wrong("since", value, remedy))?;
            let now = now.ok_or_else(|| no_message("since"))?;
            now.timestamp().checked_sub(span).map_err(|_| wrong("since", value, remedy))
        }
        _ => moment(call, "since", value, previous, remedy),
    }
}

/// Return the moment that the text of `since` means at `now`, or `None` if it means none.
pub(crate) fn since_of_text(now: &ZonedDateTime, text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > LONGEST_TEXT {
        return None;
    }
    if let Some(time) = time_of_day(text) {
        return previous(now, time);
    }
    if let Ok(moment) = Moment::parse(text) {
        return on_time_line(&moment, Some(now)).map(|zoned| zoned.timestamp());
    }
    // 25:00:00 is not a time of day, and hardly meant as a span.
    let span = Some(text).filter(|text| !text.contains(':')).and_then(|text| duration::parse(text).ok());
    now.timestamp().checked_sub(span.filter(|span| *span <= LONGEST_SPAN)?).ok()
}

/// Return a date in its own time zone, or else in that of `now`.
fn on_time_line(moment: &Moment, now: Option<&ZonedDateTime>) -> Option<ZonedDateTime> {
    match moment.zoned() {
        Some(zoned) => Some(zoned.clone()),
        None => moment.civil().to_zoned_datetime(now?.time_zone().clone()).ok(),
    }
}

/// Read a moment: a time of day, which `on_clock` finds by the time of the message, or a date.
fn moment(
    call: &CallState,
    option: &str,
    value: &LuaValue,
    on_clock: fn(&ZonedDateTime, Time) -> Option<Timestamp>,
    remedy: &str,
) -> Result<Timestamp, String> {
    let now = call.now();
    let now = now.as_ref();
    let refuse = || wrong(option, value, remedy);
    let no_message = || no_message(option);
    let moment = match value {
        LuaValue::UserData(object) => object.borrow::<Moment>().map_err(|_| refuse())?.clone(),
        LuaValue::String(text) if text.as_bytes().len() <= LONGEST_TEXT => {
            let text = text.to_str().map_err(|_| refuse())?;
            let text = text.trim();
            if let Some(time) = time_of_day(text) {
                return on_clock(now.ok_or_else(no_message)?, time).ok_or_else(refuse);
            }
            Moment::parse(text).map_err(|_| refuse())?
        }
        _ => return Err(refuse()),
    };
    if moment.zoned().is_none() && now.is_none() {
        return Err(no_message());
    }
    let zoned = on_time_line(&moment, now);
    zoned.map(|zoned| zoned.timestamp()).ok_or_else(refuse)
}

/// Read a label of a cycle, or `false` for none.
pub(super) fn cycle(option: &str, value: &LuaValue) -> Result<CycleOption, String> {
    let label = match value {
        LuaValue::Boolean(false) => return Ok(CycleOption::None),
        LuaValue::String(text) if text.as_bytes().len() <= LONGEST_TEXT => {
            text.to_str().ok().map(|text| text.to_owned())
        }
        LuaValue::Integer(number) => Some(number.to_string()),
        LuaValue::UserData(object) => object.borrow::<Moment>().ok().map(|moment| moment.iso()),
        _ => None,
    };
    let label = label.and_then(|label| Cycle::parse(&label).ok());
    let remedy = "write a label of 1 to 64 letters, digits and the characters . _ : + -, as in \"2026-03-14\", a date, or false for none";
    label.map(CycleOption::Label).ok_or_else(|| wrong(option, value, remedy))
}

fn no_message(option: &str) -> String {
    format!("the option {option} needs a message, whose time zone it is in; call it inside a rule")
}

/// Parse `05:15` or `05:15:30`.
fn time_of_day(text: &str) -> Option<Time> {
    let is_time = matches!(text.len(), 5 | 8)
        && text.bytes().enumerate().all(
            |(at, byte)| {
                if at % 3 == 2 { byte == b':' } else { byte.is_ascii_digit() }
            },
        );
    if is_time { text.parse().ok() } else { None }
}

/// Return the next moment after `now` at which a clock in its time zone shows this time. A time that the clock skips is
/// moved later by the length of the jump; of a time that comes twice, the first counts.
fn next(now: &ZonedDateTime, time: Time) -> Option<Timestamp> {
    let mut date = now.date();
    // Today's moment may have passed; tomorrow's has not.
    for _ in 0..2 {
        let moment = date.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp();
        if moment > now.timestamp() {
            return Some(moment);
        }
        date = date.tomorrow().ok()?;
    }
    None
}

/// Return the last moment, at `now` or before, at which a clock in its time zone showed this time, with the rules of [`next`] for
/// times that the clock skips or shows twice.
fn previous(now: &ZonedDateTime, time: Time) -> Option<Timestamp> {
    let mut date = now.date();
    // Today's moment may be to come; yesterday's has passed.
    for _ in 0..2 {
        let moment = date.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp();
        if moment <= now.timestamp() {
            return Some(moment);
        }
        date = date.yesterday().ok()?;
    }
    None
}

/// Read environment variables, sorted by name.
fn env(lua: &Lua, call: &CallState, value: &LuaValue) -> Result<Vec<(String, String)>, String> {
    let Some(entries) = entries(lua, value, "env")? else {
        return Err(wrong("env", value, "write a table of names and values, as in { NAME = \"value\" }"));
    };
    if entries.len() > MOST_VARIABLES {
        return Err(format!("the option env has more than {MOST_VARIABLES} variables"));
    }
    let mut variables = Vec::with_capacity(entries.len());
    let mut wrong = Vec::new();
    for (name, value) in &entries {
        match variable_name(call, name) {
            Ok(name) => variables.push((name, value)),
            Err(text) => wrong.push(text),
        }
    }
    // A table's own order changes from run to run, and the same rule must give the same error.
    if let Some(text) = wrong.into_iter().min() {
        return Err(text);
    }
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    variables.into_iter().map(|(name, value)| variable(call, name, value)).collect()
}

fn variable_name(call: &CallState, name: &LuaValue) -> Result<String, String> {
    let wrong =
        |remedy: &str| format!("the option env has {} as the name of a variable; {remedy}", described(name));
    let LuaValue::String(text) = name else {
        return Err(wrong("write a table of names and values, as in { NAME = \"value\" }"));
    };
    match text.to_str() {
        Ok(text) if text.is_empty() || text.contains(['=', '\0']) => {
            Err(wrong("a name is not empty and has neither = nor a zero byte"))
        }
        Ok(text) => call.keep(&text),
        Err(_) => Err(wrong("a name is UTF-8")),
    }
}

fn variable(call: &CallState, name: String, value: &LuaValue) -> Result<(String, String), String> {
    let wrong = |remedy: &str| {
        let value = described(value);
        format!("the option env: the variable {name:?} is {value}; {remedy}")
    };
    let value = match value {
        LuaValue::Integer(number) => number.to_string(),
        LuaValue::String(text) => match text.to_str() {
            Ok(text) if text.contains('\0') => return Err(wrong("no variable can hold a zero byte")),
            Ok(text) => call.keep(&text)?,
            Err(_) => return Err(wrong("it must be UTF-8")),
        },
        _ => return Err(wrong("write text or an integer")),
    };
    Ok((name, value))
}
