//! `Join{ name =, wait_for =, launch =, timeout = }`: a join that a rule opens. It never opens the join itself.

use mlua::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods, Value as LuaValue};

use super::call_state::CallState;
use super::error::fail;
use super::items::{Least, entries, known, list};
use super::kind::{described, kind_name, whole};
use super::launch::{copy, launches};
use super::objects::{LuaJoin, LuaLaunch, size_of_join};
use super::options::time_limit;
use nowcast_core::{JoinRequest, NextWorker, Requirement};

/// The keys of a join, in the order in which `lua/types.lua` declares them.
pub(super) const KNOWN: [&str; 4] = ["name", "wait_for", "launch", "timeout"];

/// The keys that describe the messages of one worker.
pub(super) const OF_WORKER: [&str; 2] = ["type", "count"];

/// The largest count of messages of one worker; a larger one is a mistake.
const MOST_MESSAGES: i64 = 100_000;
/// The longest name of a join, a worker or a message type, in bytes.
const LONGEST_NAME: usize = 200;

const EXAMPLE: &str = "Join{ name = \"…\", wait_for = { \"worker\", other_worker = 14 } }";

impl LuaJoin {
    /// Copy the join out of the Lua virtual machine, if the call's limit for text allows it.
    pub(super) fn copy(&self, call: &CallState) -> Result<JoinRequest, String> {
        let launch = self.0.launch.iter().map(|worker| copy(call, worker)).collect::<Result<_, _>>()?;
        Ok(JoinRequest { launch, ..self.0.clone() })
    }

    /// Format the join for `tostring`.
    pub(super) fn text(&self) -> String {
        let name = self.0.name.as_deref().unwrap_or_default();
        let wanted: Vec<String> = self.0.wait_for.iter().map(Requirement::to_string).collect();
        format!("Join(name={name:?}, wait_for={})", wanted.join(", "))
    }
}

impl UserData for LuaJoin {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__name", "Join");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, join, ()| Ok(join.text()));
        methods.add_meta_method(MetaMethod::Index, |lua, join, key: LuaValue| {
            let key = key.as_string().map(mlua::LuaString::to_string_lossy).unwrap_or_default();
            match (key.as_str(), &join.0.name) {
                ("name", Some(name)) => lua.create_string(name).map(LuaValue::String),
                _ => Err(fail(lua, format!("a Join has no {key:?}; it has name"))),
            }
        });
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, _, (_, _): (LuaValue, LuaValue)| -> mlua::Result<()> {
                Err(fail(lua, "a Join cannot be changed; make another one"))
            },
        );
    }
}

/// Create a join, or raise an error that says what is wrong with it.
pub(super) fn join(lua: &Lua, call: &CallState, spec: &LuaValue) -> mlua::Result<LuaJoin> {
    let join = read(lua, call, spec).map_err(|text| fail(lua, format!("Join: {text}")))?;
    let memory = call.budget.hold(lua, size_of_join(&join))?;
    Ok(LuaJoin(join, memory))
}

fn read(lua: &Lua, call: &CallState, spec: &LuaValue) -> Result<JoinRequest, String> {
    let Some(given) = entries(lua, spec, "the table")? else {
        return Err(format!("write what it is in braces, as in {EXAMPLE}; got {}", kind_name(spec)));
    };
    let mut request = JoinRequest::default();
    for (key, value) in known(given, "key", &KNOWN)? {
        match key {
            "name" => request.name = Some(text(call, "its name", &value)?),
            "wait_for" => request.wait_for = wait_for(lua, call, &value)?,
            "launch" => request.launch = own_launches(call, &value)?,
            _ => request.timeout = Some(time_limit(key, &value)?),
        }
    }
    if request.name.is_none() {
        return Err(format!("it has no name; write {EXAMPLE}"));
    }
    if request.wait_for.is_empty() {
        return Err(format!("it waits for nothing; write {EXAMPLE}"));
    }
    Ok(request)
}

/// Return a text that is a name. Errors call it `role`.
fn text(call: &CallState, role: &str, value: &LuaValue) -> Result<String, String> {
    let LuaValue::String(text) = value else {
        return Err(format!("{role} must be text, got {}", described(value)));
    };
    match text.to_str() {
        Ok(text) if text.trim().is_empty() => Err(format!("{role} is empty")),
        Ok(text) if text.len() > LONGEST_NAME => {
            Err(format!("{role} has {} bytes; {LONGEST_NAME} are enough", text.len()))
        }
        Ok(text) if text.contains(char::is_control) => {
            Err(format!("{role} is {:?}; it must be a single line", &*text))
        }
        Ok(text) => call.keep(&text),
        Err(_) => Err(format!("{role} is not UTF-8")),
    }
}

fn own_launches(call: &CallState, value: &LuaValue) -> Result<Vec<NextWorker>, String> {
    match value {
        LuaValue::Table(table) => launches(call, "launch", &list(table, "launch")?),
        LuaValue::UserData(object) if object.is::<LuaLaunch>() => {
            Err("launch is a single NextWorker; put it into a list: launch = { … }".to_owned())
        }
        other => Err(format!(
            "launch is {}; write a list of NextWorkers, as in {{ NextWorker(\"…\") }}",
            described(other)
        )),
    }
}

/// Read the requirements: first the listed workers, in their order, then those that are keys, by name.
fn wait_for(lua: &Lua, call: &CallState, value: &LuaValue) -> Result<Vec<Requirement>, String> {
    let Some(entries) = entries(lua, value, "wait_for")? else {
        return Err(format!(
            "wait_for is {}; write the workers in braces, as in {{ \"worker\", other_worker = 14 }}",
            described(value)
        ));
    };
    let (mut listed, mut keyed, mut wrong) = (Vec::new(), Vec::new(), Least::default());
    for (key, value) in entries {
        match key {
            LuaValue::Integer(place) => listed.push((place, value)),
            LuaValue::String(name) => keyed.push((name.as_bytes().to_vec(), name, value)),
            other => wrong.add(format!("wait_for has {} as a key", kind_name(&other))),
        }
    }
    wrong.check()?;
    listed.sort_by_key(|(place, _)| *place);
    keyed.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut wanted: Vec<Requirement> = Vec::with_capacity(listed.len() + keyed.len());
    for (expected, (place, worker)) in (1..).zip(listed) {
        if place != expected {
            return Err(format!(
                "wait_for[{expected}] is nil; is a name misspelt, or the checklist incomplete?"
            ));
        }
        wanted.push(Requirement { worker: worker_name(call, &worker)?, r#type: None, count: 1, cycle: None });
    }
    for (_, name, value) in keyed {
        let worker = worker_name(call, &LuaValue::String(name))?;
        let (r#type, count) = messages(lua, call, &worker, &value)?;
        wanted.push(Requirement { worker, r#type, count, cycle: None });
    }
    let mut names: Vec<&str> = wanted.iter().map(|wanted| wanted.worker.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = twice[0];
        return Err(format!("wait_for names {name:?} twice; for two messages of it write {name} = 2"));
    }
    Ok(wanted)
}

fn worker_name(call: &CallState, value: &LuaValue) -> Result<String, String> {
    let name = text(call, "a worker's name in wait_for", value)?;
    match name.rsplit_once('.') {
        Some((_, last)) => Err(format!(
            "wait_for has {name:?}; write the worker's name in the message registry, as in {last:?}"
        )),
        None => Ok(name),
    }
}

/// Read which messages of a worker are required, and how many: `14`, `"success"` or `{ type = "success", count = 14 }`.
fn messages(
    lua: &Lua,
    call: &CallState,
    worker: &str,
    value: &LuaValue,
) -> Result<(Option<String>, u32), String> {
    let role = format!("the type of {worker} in wait_for");
    if let LuaValue::String(_) = value {
        return Ok((Some(text(call, &role, value)?), 1));
    }
    if whole(value).is_some() {
        return Ok((None, count(worker, value)?));
    }
    let Some(given) = entries(lua, value, worker)? else {
        return Err(format!(
            "wait_for: {worker} is {}; write how many messages, their type, or {{ type = \"success\", count = 3 }}",
            described(value)
        ));
    };
    let (mut r#type, mut number) = (None, 1);
    for (key, value) in known(given, "key", &OF_WORKER).map_err(|text| format!("{worker}: {text}"))? {
        match key {
            "type" => r#type = Some(text(call, &role, &value)?),
            _ => number = count(worker, &value)?,
        }
    }
    Ok((r#type, number))
}

fn count(worker: &str, value: &LuaValue) -> Result<u32, String> {
    let count = whole(value).filter(|count| (1..=MOST_MESSAGES).contains(count));
    count.and_then(|count| u32::try_from(count).ok()).ok_or_else(|| {
        format!(
            "wait_for: the count of {worker} is {}; write a whole number from 1 to {MOST_MESSAGES}",
            described(value)
        )
    })
}
