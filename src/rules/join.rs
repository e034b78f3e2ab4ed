//! `Join{ name =, wait_for =, launch =, timeout =, cycle =, since = }`: a join that a rule requests. It never opens the join itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use mlua::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods, Value as LuaValue};

use super::call_state::CallState;
use super::error::{fail, place_in_the_rules};
use super::items::{Least, entries, known, list};
use super::kind::{described, kind_name, whole};
use super::launch::{copy, launches};
use super::moment::Moment;
use super::objects::{LuaJoin, LuaLaunch, size_of_join};
use super::options::{cycle, since, time_limit};
use super::view::View;
use nowcast_core::cycles::NoteScope;
use nowcast_core::notes::MOST_CHAINS;
use nowcast_core::{Cycle, CycleOption, JoinRequest, NextWorker, Requirement};

/// The keys of a join, in the order in which `lua/types.lua` declares them.
pub(super) const KNOWN: [&str; 6] = ["name", "wait_for", "launch", "timeout", "cycle", "since"];

/// The keys that describe the messages of one worker. An item of the list names the worker with the first one; elsewhere the key is
/// the worker.
pub(super) const OF_WORKER: [&str; 4] = ["worker", "type", "count", "cycle"];

/// The largest count of messages of one worker; a larger one is a mistake.
const MOST_MESSAGES: i64 = 100_000;
/// The longest name of a join, a worker or a message type, in bytes.
const LONGEST_NAME: usize = 200;

/// An item of `wait_for`, for errors.
const ITEM_EXAMPLE: &str = "{ worker = \"…\", type = \"success\" }";

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
        let requirements: Vec<String> = self.0.wait_for.iter().map(Requirement::to_string).collect();
        let scope = match &self.0.scope {
            Some(NoteScope::Cycle(cycle)) => format!("cycle={cycle}, "),
            Some(NoteScope::Since(moment)) => format!("since={moment}, "),
            None => String::new(),
        };
        format!("Join(name={name:?}, {scope}wait_for={})", requirements.join(", "))
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
            match (key.as_str(), &join.0.name, &join.0.scope) {
                ("name", Some(name), _) => lua.create_string(name).map(LuaValue::String),
                ("cycle", _, Some(NoteScope::Cycle(cycle))) => {
                    lua.create_string(cycle.as_str()).map(LuaValue::String)
                }
                ("since", _, Some(NoteScope::Since(moment))) => {
                    let moment = Moment::from_zoned(&moment.to_zoned_datetime(TimeZone::UTC));
                    lua.create_userdata(moment).map(LuaValue::UserData)
                }
                ("cycle" | "since", ..) => Ok(LuaValue::Nil),
                _ => Err(fail(lua, format!("a Join has no {key:?}; it has name, cycle and since"))),
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
    let mut join = read(lua, call, spec).map_err(|text| fail(lua, format!("Join: {text}")))?;
    join.location = place_in_the_rules(lua, |chunk| call.sources.has_chunk(chunk));
    let memory = call.budget.hold(lua, size_of_join(&join))?;
    Ok(LuaJoin(join, memory))
}

fn read(lua: &Lua, call: &CallState, spec: &LuaValue) -> Result<JoinRequest, String> {
    let Some(given) = entries(lua, spec, "the table")? else {
        return Err(format!("write what it is in braces, as in {EXAMPLE}; got {}", kind_name(spec)));
    };
    let (mut request, mut wait_list) = (JoinRequest::default(), None);
    for (key, value) in known(given, "key", &KNOWN)? {
        match key {
            "name" => request.name = Some(text(call, "its name", &value)?),
            "wait_for" => wait_list = Some(value),
            "launch" => request.launch = own_launches(call, &value)?,
            "timeout" => request.timeout = Some(time_limit(key, &value)?),
            "since" if request.scope.is_some() => {
                return Err("it has both cycle and since; the messages of a cycle count whenever they came"
                    .to_owned());
            }
            "since" => request.scope = Some(NoteScope::Since(since(call, &value)?)),
            _ => request.scope = own_cycle(call, &value)?.map(NoteScope::Cycle),
        }
    }
    if let Some(wait_list) = wait_list {
        request.wait_for = wait_for(lua, call, &wait_list, request.scope.as_ref())?;
    }
    if request.name.is_none() {
        return Err(format!("it has no name; write {EXAMPLE}"));
    }
    if request.wait_for.is_empty() {
        return Err(format!("it waits for nothing; write {EXAMPLE}"));
    }
    Ok(request)
}

/// Read the join's cycle; `None` for `false`.
fn own_cycle(call: &CallState, value: &LuaValue) -> Result<Option<Cycle>, String> {
    match cycle("cycle", value)? {
        CycleOption::Label(cycle) => Ok(Some(cycle)),
        CycleOption::None => {
            call.snapshot.accept_missing_cycle();
            Ok(None)
        }
    }
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

/// Read the requirements: first the listed workers, in their order, then those that are keys, by name. `scope` is that of the join.
fn wait_for(
    lua: &Lua,
    call: &CallState,
    value: &LuaValue,
    scope: Option<&NoteScope>,
) -> Result<Vec<Requirement>, String> {
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
    let mut requirements: Vec<Requirement> = Vec::with_capacity(listed.len() + keyed.len());
    for (expected, (place, item)) in (1..).zip(listed) {
        if place != expected {
            return Err(format!(
                "wait_for[{expected}] is nil; is a name misspelt, or the checklist incomplete?"
            ));
        }
        requirements.push(listed_item(lua, call, expected, &item)?);
    }
    for (_, name, value) in keyed {
        let worker = worker_name(call, &LuaValue::String(name))?;
        requirements.push(messages(lua, call, worker, &value)?);
    }
    match scope {
        None => each_worker_once(&requirements)?,
        Some(scope) => in_scope(&mut requirements, scope)?,
    }
    Ok(requirements)
}

/// Read an item of the list: a worker's name, or a table that names the worker.
fn listed_item(lua: &Lua, call: &CallState, place: i64, item: &LuaValue) -> Result<Requirement, String> {
    let is_table = match item {
        LuaValue::Table(_) => true,
        LuaValue::UserData(object) => object.is::<View>(),
        _ => false,
    };
    if !is_table {
        return Ok(one_message(worker_name(call, item)?));
    }
    let what = format!("wait_for[{place}]");
    let given = entries(lua, item, &what)?.unwrap_or_default();
    let mut given = known(given, "key", &OF_WORKER).map_err(|text| format!("{what}: {text}"))?;
    let Some(at) = given.iter().position(|(key, _)| *key == OF_WORKER[0]) else {
        return Err(format!("{what} names no worker; write {ITEM_EXAMPLE}"));
    };
    let (_, worker) = given.remove(at);
    described_messages(call, worker_name(call, &worker)?, given)
}

fn one_message(worker: String) -> Requirement {
    Requirement { worker, r#type: None, count: 1, cycle: None }
}

/// Check the requirements of a join that counts from its opening on. It has no cycle.
fn each_worker_once(requirements: &[Requirement]) -> Result<(), String> {
    let mut workers = BTreeSet::new();
    for Requirement { worker, cycle, .. } in requirements {
        if cycle.is_some() {
            return Err(needs_cycle(worker));
        }
        if !workers.insert(worker) {
            return Err(format!(
                "wait_for names {worker:?} twice; for two messages of it write {worker} = 2"
            ));
        }
    }
    Ok(())
}

/// Check the requirements of a join by cycle or since a moment. A cycle that is the join's own is left out.
fn in_scope(requirements: &mut [Requirement], scope: &NoteScope) -> Result<(), String> {
    let (mut known, mut counts) = (BTreeSet::new(), BTreeMap::new());
    for Requirement { worker, r#type, count, cycle } in requirements {
        match scope {
            NoteScope::Cycle(own) => *cycle = cycle.take().filter(|cycle| cycle != own),
            NoteScope::Since(_) if cycle.is_some() => return Err(needs_cycle(worker)),
            NoteScope::Since(_) => {}
        }
        if !known.insert((&*worker, &*r#type, &*cycle)) {
            let one = Requirement {
                worker: worker.clone(),
                r#type: r#type.clone(),
                count: 1,
                cycle: cycle.clone(),
            };
            return Err(format!("wait_for names {one} twice; for two messages of it write count = 2"));
        }
        let total = counts.entry(&*worker).or_insert(0);
        *total += *count as usize;
        if *total > MOST_CHAINS {
            return Err(format!(
                "wait_for: {total} messages of {worker}; a join with cycle or since counts at most {MOST_CHAINS} of a worker"
            ));
        }
    }
    Ok(())
}

fn needs_cycle(worker: &str) -> String {
    format!("wait_for: {worker} has a cycle, and the join has none; write cycle = … in the join as well")
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
fn messages(lua: &Lua, call: &CallState, worker: String, value: &LuaValue) -> Result<Requirement, String> {
    if let LuaValue::String(_) = value {
        let r#type = Some(text(call, &role_of_type(&worker), value)?);
        return Ok(Requirement { r#type, ..one_message(worker) });
    }
    if whole(value).is_some() {
        return Ok(Requirement { count: count(&worker, value)?, ..one_message(worker) });
    }
    let Some(given) = entries(lua, value, &worker)? else {
        return Err(format!(
            "wait_for: {worker} is {}; write how many messages, their type, or {{ type = \"success\", count = 3 }}",
            described(value)
        ));
    };
    let given = known(given, "key", &OF_WORKER[1..]).map_err(|text| format!("{worker}: {text}"))?;
    described_messages(call, worker, given)
}

/// Read which messages of a worker are required from the table that describes them.
fn described_messages(
    call: &CallState,
    worker: String,
    given: Vec<(&str, LuaValue)>,
) -> Result<Requirement, String> {
    let mut requirement = one_message(worker);
    let worker = &requirement.worker;
    for (key, value) in given {
        match key {
            "type" => requirement.r#type = Some(text(call, &role_of_type(worker), &value)?),
            "count" => requirement.count = count(worker, &value)?,
            _ => {
                let label = cycle("cycle", &value).map_err(|text| format!("wait_for: {worker}: {text}"))?;
                requirement.cycle = match label {
                    CycleOption::Label(cycle) => Some(cycle),
                    CycleOption::None => None,
                };
            }
        }
    }
    Ok(requirement)
}

fn role_of_type(worker: &str) -> String {
    format!("the type of {worker} in wait_for")
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
