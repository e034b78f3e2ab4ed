//! The Rust functions that the engine's own Lua calls, in one table. Rules never see the table itself.

use std::rc::Rc;

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value as LuaValue, Variadic};

use super::budget::Limit;
use super::call_state::CallState;
use super::error::{self, fail};
use super::kind::kind_name;
use super::last_message::LuaLastMessage;
use super::missing_key::missing_key;
use super::moment::Moment;
use super::view::{self, View};
use super::{clock, compile, date, join, last, launch, library, objects, path, text};
use nowcast_core::Level;

/// The longest path that Linux accepts, in bytes (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// Create the table that is called `host` in `lua/*.lua`.
pub(super) fn table(lua: &Lua, host: &Rc<CallState>) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("null", LuaValue::NULL)?;
    table.raw_set("longest_text", host.options.limits.text)?;
    let declared = library::names().map(|name| (name, true));
    table.raw_set("declared", lua.create_table_from(declared)?)?;
    errors(lua, &table, host)?;
    values(lua, &table)?;
    strings(lua, &table, host)?;
    launches(lua, &table, host)?;
    calls(lua, &table, host)?;
    Ok(table)
}

fn errors(lua: &Lua, table: &Table, host: &Rc<CallState>) -> mlua::Result<()> {
    let function = lua.create_function(|lua, text: LuaString| -> mlua::Result<()> {
        Err(fail(lua, text.to_string_lossy()))
    })?;
    table.raw_set("fail", function)?;

    // Return an error as a rule that catches it sees it. After a limit was exceeded, nothing can be caught.
    let budget = Rc::clone(&host.budget);
    let function = lua.create_function(move |lua, value: LuaValue| {
        let is_memory = match &value {
            LuaValue::Error(error) => error::is_out_of_memory(error),
            LuaValue::String(text) => text.as_bytes() == b"not enough memory",
            _ => false,
        };
        if is_memory {
            budget.pass(lua, Limit::Memory);
        }
        budget.check()?;
        Ok(match value {
            LuaValue::Error(error) => {
                budget.count_caught_error(lua, error::size(&error))?;
                LuaValue::String(lua.create_string(error::text(&error))?)
            }
            LuaValue::String(text) => {
                match text.to_str().ok().and_then(|text| error::without_own_place(&text)) {
                    Some(message) => LuaValue::String(lua.create_string(message)?),
                    None => LuaValue::String(text),
                }
            }
            other => other,
        })
    })?;
    table.raw_set("caught", function)?;

    let function = lua.create_function(|lua, ()| lua.traceback(None, 1))?;
    table.raw_set("traceback", function)?;

    let function =
        lua.create_function(|_, (text, traceback): (LuaString, LuaString)| -> mlua::Result<()> {
            Err(error::raise(&text.to_string_lossy(), &traceback.to_string_lossy()))
        })?;
    table.raw_set("raise", function)?;

    let function = lua.create_function(|lua, what: String| -> mlua::Result<()> {
        Err(view::refuse_write(lua, &format!(" ({what})")))
    })?;
    table.raw_set("refuse_write", function)?;

    let budget = Rc::clone(&host.budget);
    let function =
        lua.create_function(move |lua, (bytes, cost): (usize, u64)| budget.charge_text(lua, bytes, cost))?;
    table.raw_set("charge", function)?;

    let budget = Rc::clone(&host.budget);
    table.raw_set("reader", lua.create_function(move |lua, args| compile::reader(lua, &budget, args))?)?;

    let limit = host.options.limits.text;
    let function = lua.create_function(move |lua, (what, bytes): (String, f64)| -> mlua::Result<()> {
        let limit = super::budget::bytes(limit);
        Err(fail(lua, format!("{what}: a text of {bytes:.0} bytes is longer than the limit of {limit}")))
    })?;
    table.raw_set("too_long", function)
}

fn values(lua: &Lua, table: &Table) -> mlua::Result<()> {
    let function = lua.create_function(|_, value: LuaValue| {
        Ok(match &value {
            LuaValue::LightUserData(_) => "null",
            LuaValue::Error(_) => "error",
            LuaValue::UserData(object) if object.is::<View>() => "table",
            LuaValue::UserData(object) if object.is::<Moment>() => "date",
            LuaValue::UserData(object) if object.is::<objects::LuaLaunch>() => "NextWorker",
            LuaValue::UserData(object) if object.is::<objects::LuaJoin>() => "Join",
            LuaValue::UserData(object) if object.is::<LuaLastMessage>() => "LastMessage",
            other => other.type_name(),
        })
    })?;
    table.raw_set("kind", function)?;

    let function = lua.create_function(|_, value: LuaValue| Ok(kind_name(&value)))?;
    table.raw_set("kind_name", function)?;

    let function = lua.create_function(|_, value: LuaValue| {
        Ok(match &value {
            LuaValue::LightUserData(_) => "null".to_owned(),
            LuaValue::Error(error) => error::text(error),
            LuaValue::UserData(object) => {
                if let Ok(moment) = object.borrow::<Moment>() {
                    moment.iso()
                } else if let Ok(launch) = object.borrow::<objects::LuaLaunch>() {
                    launch.0.to_string()
                } else if let Ok(join) = object.borrow::<objects::LuaJoin>() {
                    join.text()
                } else if let Ok(message) = object.borrow::<LuaLastMessage>() {
                    message.text().to_owned()
                } else {
                    "table".to_owned()
                }
            }
            other => other.type_name().to_owned(),
        })
    })?;
    table.raw_set("text_of", function)?;

    let function = lua.create_function(|_, name: LuaString| Ok(is_name(&name.as_bytes())))?;
    table.raw_set("is_name", function)?;

    let function = lua.create_function(|lua, (view, key): (mlua::UserDataRef<View>, LuaValue)| {
        view::next(lua, &view, &key)
    })?;
    table.raw_set("view_next", function)?;
    let function = lua.create_function(|lua, (view, place): (mlua::UserDataRef<View>, usize)| {
        view::entry(lua, &view, place)
    })?;
    table.raw_set("view_entry", function)?;
    let function =
        lua.create_function(|lua, (view, key): (mlua::UserDataRef<View>, LuaValue)| view.has(lua, &key))?;
    table.raw_set("view_has", function)?;

    let function = lua.create_function(|_, (keys, count, written): (Vec<LuaValue>, usize, LuaValue)| {
        let texts: Vec<String> = keys.iter().map(key_text).collect();
        let written = written.as_string().map(LuaString::to_string_lossy);
        Ok(missing_key(&texts, count, written.as_deref()))
    })?;
    table.raw_set("suggest", function)
}

/// Return whether a text is a name in Lua, so that a key needs no quotes.
pub(crate) fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(|byte| !byte.is_ascii_digit())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// Format a key for a list of keys.
fn key_text(key: &LuaValue) -> String {
    match key {
        LuaValue::String(text) => text.to_string_lossy(),
        LuaValue::Integer(number) => number.to_string(),
        LuaValue::Number(number) => format!("{number:?}"),
        LuaValue::Boolean(flag) => flag.to_string(),
        LuaValue::UserData(object) => match object.borrow::<Moment>() {
            Ok(moment) => moment.iso(),
            Err(_) => kind_name(key).to_owned(),
        },
        other => kind_name(other).to_owned(),
    }
}

fn strings(lua: &Lua, table: &Table, host: &Rc<CallState>) -> mlua::Result<()> {
    let budget = Rc::clone(&host.budget);
    table.raw_set("find", lua.create_function(move |lua, args| text::find(lua, &budget, args))?)?;
    let budget = Rc::clone(&host.budget);
    table.raw_set("match", lua.create_function(move |lua, args| text::match_(lua, &budget, args))?)?;
    let budget = Rc::clone(&host.budget);
    table
        .raw_set("match_from", lua.create_function(move |lua, args| text::match_from(lua, &budget, args))?)?;
    table.raw_set("start_of", lua.create_function(text::start_of)?)?;
    for what in ["startswith", "endswith"] {
        let budget = Rc::clone(&host.budget);
        let function =
            lua.create_function(move |lua, args| text::starts_or_ends(lua, &budget, what, args))?;
        table.raw_set(what, function)?;
    }
    let budget = Rc::clone(&host.budget);
    table.raw_set("split", lua.create_function(move |lua, args| text::split(lua, &budget, args))?)?;
    let budget = Rc::clone(&host.budget);
    table.raw_set("strip", lua.create_function(move |lua, args| text::strip(lua, &budget, args))?)?;

    let paths = lua.create_table()?;
    for (what, function) in
        [("name", path::name as fn(&str) -> String), ("stem", path::stem), ("parent", path::parent)]
    {
        let function = lua.create_function(move |lua, value: LuaValue| {
            path_text(lua, what, &value).map(|text| function(&text))
        })?;
        paths.raw_set(what, function)?;
    }
    let longest = host.options.limits.text;
    let join = lua.create_function(move |lua, parts: Variadic<LuaValue>| {
        let mut bytes = 0;
        let part = |part| {
            let text = path_text(lua, "join", part)?;
            bytes += text.len();
            if bytes > longest {
                return Err(fail(
                    lua,
                    format!("path.join: more than {} of text", super::budget::bytes(longest)),
                ));
            }
            Ok(text)
        };
        let parts = parts.iter().map(part).collect::<mlua::Result<Vec<String>>>()?;
        Ok(path::join(parts.iter().map(String::as_str)))
    })?;
    paths.raw_set("join", join)?;
    table.raw_set("path", paths)
}

fn path_text(lua: &Lua, what: &str, value: &LuaValue) -> mlua::Result<String> {
    match value {
        LuaValue::String(text) => match text.to_str() {
            Ok(text) if text.len() > LONGEST_PATH => {
                Err(fail(lua, format!("path.{what}: a path of {} bytes is too long", text.len())))
            }
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(fail(lua, format!("path.{what}: the path is not UTF-8"))),
        },
        other => {
            let kind = kind_name(other);
            Err(fail(lua, format!("path.{what}: a path must be text, got {kind}")))
        }
    }
}

fn launches(lua: &Lua, table: &Table, host: &Rc<CallState>) -> mlua::Result<()> {
    let shared = Rc::clone(host);
    table.raw_set("launch", lua.create_function(move |lua, args| launch::launch(lua, &shared, args))?)?;
    let shared = Rc::clone(host);
    let with = lua.create_function(move |lua, args| launch::with(lua, &shared, args))?;
    lua.set_app_data(launch::LaunchWith(with));
    let shared = Rc::clone(host);
    let function = lua.create_function(move |lua, spec: LuaValue| join::join(lua, &shared, &spec))?;
    table.raw_set("join", function)?;
    let shared = Rc::clone(host);
    let function = lua.create_function(move |lua, args| launch::qualified(lua, &shared, args))?;
    table.raw_set("qualified", function)
}

fn calls(lua: &Lua, table: &Table, host: &Rc<CallState>) -> mlua::Result<()> {
    let shared = Rc::clone(host);
    let function = lua.create_function(move |_, (level, text): (String, LuaString)| {
        let level = match level.as_str() {
            "debug" => Level::Debug,
            "warning" => Level::Warning,
            "error" => Level::Error,
            "critical" => Level::Critical,
            _ => Level::Info,
        };
        shared.log(level, &text.to_string_lossy());
        Ok(())
    })?;
    table.raw_set("log", function)?;
    let shared = Rc::clone(host);
    let function = lua.create_function(move |_, is_loading| {
        shared.set_loading(is_loading);
        Ok(())
    })?;
    table.raw_set("set_loading", function)?;
    let function = lua.create_function(|lua, count: usize| lua.create_table_with_capacity(0, count))?;
    table.raw_set("table_with_room", function)?;

    let function =
        lua.create_function(|lua, (text, format): (LuaValue, LuaValue)| date::date(lua, &text, &format))?;
    table.raw_set("date", function)?;
    let shared = Rc::clone(host);
    let function = lua.create_function(move |lua, ()| Ok(Moment::from_zoned(&now(lua, &shared, "now")?)))?;
    table.raw_set("now", function)?;
    let shared = Rc::clone(host);
    let function = lua.create_function(move |lua, given| last::last(lua, &shared, &given))?;
    table.raw_set("last", function)?;
    let shared = Rc::clone(host);
    let function = lua.create_function(move |lua, ()| {
        let now = now(lua, &shared, "math.random")?;
        Ok(shared.take_seed(&now).unzip())
    })?;
    table.raw_set("seed", function)
}

/// Return the time of the message, or an error of the function `what` if there is none.
fn now(lua: &Lua, host: &CallState, what: &str) -> mlua::Result<jiff::ZonedDateTime> {
    host.now().ok_or_else(|| fail(lua, format!("{what}: there is no message yet; call it inside a rule")))
}

/// Create the library `os`, whose clock is the time of the message.
pub(super) fn os(lua: &Lua, host: &Rc<CallState>) -> mlua::Result<Table> {
    let os = lua.create_table()?;
    let shared = Rc::clone(host);
    let time: Function = lua.create_function(move |lua, table: LuaValue| {
        clock::time(lua, &now(lua, &shared, "os.time")?, &table)
    })?;
    os.raw_set("time", time)?;
    let shared = Rc::clone(host);
    let date = lua.create_function(move |lua, arguments: MultiValue| {
        let mut arguments = arguments.into_iter();
        let format = match arguments.next() {
            None | Some(LuaValue::Nil) => None,
            Some(LuaValue::String(format)) => Some(format.to_string_lossy()),
            Some(_) => return Err(fail(lua, "os.date: the format must be text")),
        };
        let time = match arguments.next() {
            None => None,
            Some(value) => lua.coerce_integer(value)?,
        };
        clock::date(lua, &now(lua, &shared, "os.date")?, format.as_deref(), time)
    })?;
    os.raw_set("date", date)?;
    Ok(os)
}
