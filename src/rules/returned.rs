//! Checks the values that a rule returned: a list of launches, and perhaps a join. It never executes them.

use mlua::{MultiValue, Value as LuaValue};

use super::call_state::CallState;
use super::items::{Least, list};
use super::kind::{described, kind_name};
use super::launch;
use super::objects::{LuaJoin, LuaLaunch};
use super::view::View;
use nowcast_core::{JoinRequest, NextWorker, Requirement, ReturnedLaunches};
use pyyaml::Value;

/// Read the values that `function`, defined at `place`, returned. Launches and joins that were created behind tail calls have
/// no place of their own; they get the function's.
pub(super) fn read(
    call: &CallState,
    function: &str,
    place: Option<&str>,
    returned: MultiValue,
) -> Result<ReturnedLaunches, String> {
    call.count_result_only();
    let mut values = returned.into_iter();
    let (first, second, third) = (values.next(), values.next(), values.next());
    if third.is_some_and(|value| !value.is_nil()) {
        return Err(format!(
            "{function} returned more than two values; return a list of workers to launch, and a second list of \
             names, or a Join, if they must wait for one another"
        ));
    }
    let mut next_workers = match first {
        None | Some(LuaValue::Nil) => {
            return Err(format!("{function} returned nothing; return {{}} to launch nothing"));
        }
        Some(value) => launches(call, function, &value)?,
    };
    let mut join = match second {
        None | Some(LuaValue::Nil) => None,
        Some(value) => Some(wait(call, function, &value)?),
    };
    if let Some(join) = join.as_mut().filter(|join| join.name.is_some() && join.location.is_none()) {
        join.location = place.map(str::to_owned);
    }
    let own = join.iter_mut().flat_map(|join| &mut join.launch);
    for worker in next_workers.iter_mut().chain(own).filter(|worker| worker.location.is_none()) {
        worker.location = place.map(str::to_owned);
    }
    Ok(ReturnedLaunches { next_workers, join })
}

/// Read the second value: a join, or NEMO_Nowcast's race set.
fn wait(call: &CallState, function: &str, value: &LuaValue) -> Result<JoinRequest, String> {
    if let Some(join) = value.as_userdata().and_then(|object| object.borrow::<LuaJoin>().ok()) {
        return join.copy(call);
    }
    names(call, function, value).map(race_set)
}

/// Return the join for NEMO_Nowcast's race set: each worker must send one message, of any type.
fn race_set(names: Vec<String>) -> JoinRequest {
    let requirement = |worker| Requirement { worker, r#type: None, count: 1, cycle: None };
    JoinRequest { wait_for: names.into_iter().map(requirement).collect(), ..JoinRequest::default() }
}

fn launches(call: &CallState, function: &str, value: &LuaValue) -> Result<Vec<NextWorker>, String> {
    let what = format!("the list that {function} returned");
    let table = match value {
        LuaValue::Table(table) => table,
        LuaValue::UserData(object) if object.is::<LuaLaunch>() => {
            return Err(format!(
                "{function} returned a single NextWorker; put it into a list: return {{ … }}"
            ));
        }
        LuaValue::UserData(object) if object.is::<LuaJoin>() => {
            return Err(format!(
                "{function} returned a Join without a list before it; return {{}}, Join{{ … }}"
            ));
        }
        other => {
            return Err(format!("{function} returned {}; return a list of NextWorkers", kind_name(other)));
        }
    };
    let items = list(table, &what)?;
    let is_pair = items.len() == 2 && items.iter().all(|item| matches!(item, LuaValue::Table(_)));
    if is_pair {
        return Err(format!(
            "{function} returned one list that holds two; return them as two values: return {{ … }}, {{ … }}"
        ));
    }
    launch::launches(call, &what, &items)
}

/// Read a race set: a list of names, or a table `{ name = true }`. Each name counts once.
fn names(call: &CallState, function: &str, value: &LuaValue) -> Result<Vec<String>, String> {
    let what = format!("the second value that {function} returned");
    let names: Vec<String> = match value {
        LuaValue::Table(table) if table.raw_len() == 0 => {
            let (mut names, mut wrong) = (Vec::new(), Least::default());
            for pair in table.pairs::<LuaValue, LuaValue>() {
                let (key, member) = pair.map_err(|error| format!("{what}: {error}"))?;
                match (&key, member) {
                    (LuaValue::String(name), LuaValue::Boolean(true)) => {
                        names.push(call.keep(&name.to_string_lossy())?);
                    }
                    (LuaValue::String(_), _) => wrong
                        .add(format!("{what} must be a list of worker names, or a table {{ name = true }}")),
                    _ => wrong.add(format!("{what} has {} as a name; names are text", described(&key))),
                }
            }
            wrong.check()?;
            // A table has no order of its own.
            names.sort();
            names
        }
        LuaValue::Table(table) => {
            let name = |(index, item): (usize, &LuaValue)| match item {
                LuaValue::String(name) => call.keep(&name.to_string_lossy()),
                LuaValue::UserData(object) if object.is::<LuaJoin>() => Err(format!(
                    "{what} is a list with a Join in it; return the Join without braces around it"
                )),
                other => {
                    Err(format!("{what} has {} at place {}; names are text", described(other), index + 1))
                }
            };
            list(table, &what)?.iter().enumerate().map(name).collect::<Result<_, _>>()?
        }
        LuaValue::UserData(object) => match object.borrow::<View>().ok().and_then(|view| view.value().ok()) {
            Some(Value::List(items)) => {
                items.iter().map(|item| view_name(&what, item)).collect::<Result<_, _>>()?
            }
            Some(Value::Set(items)) => {
                items.iter().map(|item| view_name(&what, item)).collect::<Result<_, _>>()?
            }
            _ => return Err(format!("{what} must be a list of worker names, got {}", described(value))),
        },
        other => return Err(format!("{what} must be a list of worker names, got {}", described(other))),
    };
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(format!("{what} has an empty name in it, and no message of such a worker ever comes"));
    }
    let unique: indexmap::IndexSet<String> = names.into_iter().collect();
    Ok(unique.into_iter().collect())
}

fn view_name(what: &str, item: &Value) -> Result<String, String> {
    item.as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("{what} has {} in it; names are text", item.kind()))
}
