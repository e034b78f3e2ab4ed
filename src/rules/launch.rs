//! `NextWorker(module, args, opts)`: what a rule wants launched.

use mlua::{Lua, MetaMethod, Table, UserData, UserDataFields, UserDataMethods, Value as LuaValue};

use super::error::fail;
use super::host::Host;
use super::moment::Moment;
use super::suggest::did_you_mean;
use super::view::View;
use crate::core::NextWorker;
use crate::yaml::Value;

/// The options of a launch.
const KNOWN: [&str; 7] = ["host", "delay", "at", "timeout", "retries", "retry_delay", "env"];

/// The longest list that is read, in items: arguments, launches, names.
const LONGEST_LIST: usize = 10_000;

/// A launch as Lua holds it.
#[derive(Debug, Clone)]
pub(super) struct Launch(pub(super) NextWorker);

impl UserData for Launch {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__name", "NextWorker");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, launch, ()| Ok(launch.0.to_string()));
        methods.add_meta_method(MetaMethod::Index, |lua, launch, key: LuaValue| {
            match key.as_string().map(mlua::LuaString::to_string_lossy).unwrap_or_default().as_str() {
                "module" => Ok(LuaValue::String(lua.create_string(&launch.0.module)?)),
                "host" => Ok(LuaValue::String(lua.create_string(&launch.0.host)?)),
                "args" => Ok(LuaValue::Table(lua.create_sequence_from(launch.0.args.clone())?)),
                other => {
                    Err(fail(lua, format!("a NextWorker has no {other:?}; it has module, args and host")))
                }
            }
        });
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, _, (_, _): (LuaValue, LuaValue)| -> mlua::Result<()> {
                Err(fail(lua, "a NextWorker cannot be changed; make another one"))
            },
        );
        methods.add_meta_method(MetaMethod::Eq, |_, launch, other: LuaValue| {
            let other = other.as_userdata().and_then(|object| object.borrow::<Launch>().ok());
            Ok(other.is_some_and(|other| other.0 == launch.0))
        });
    }
}

/// Makes a launch for the function `what`, with all that can be wrong in it said.
pub(super) fn launch(
    lua: &Lua,
    call: &Host,
    (what, module, args, opts): (String, LuaValue, LuaValue, LuaValue),
) -> mlua::Result<Launch> {
    let module = name(lua, &what, "the worker's module", &module)?;
    let args = arguments(&args).map_err(|text| fail(lua, format!("{what}({module:?}): {text}")))?;
    let host = host(lua, &what, &opts)?;
    let bytes = module.len() + host.len() + args.iter().map(String::len).sum::<usize>();
    if !call.hold(bytes) {
        let limit = super::budget::bytes(call.options.limits.text);
        return Err(fail(lua, format!("{what}: the launches of this rule hold more than {limit} of text")));
    }
    Ok(Launch(NextWorker { host, ..NextWorker::new(module, args) }))
}

/// The name of a module: text, neither empty nor with what no module's name has.
fn name(lua: &Lua, what: &str, role: &str, value: &LuaValue) -> mlua::Result<String> {
    let LuaValue::String(text) = value else {
        return Err(fail(lua, format!("{what}: {role} must be text, got {}", kind_name(value))));
    };
    match text.to_str() {
        Ok(text) if text.is_empty() => Err(fail(lua, format!("{what}: {role} is empty"))),
        Ok(text) if text.contains(|sign: char| sign.is_whitespace() || sign.is_control()) => {
            Err(fail(lua, format!("{what}: {role} is {:?}; a name has no spaces", &*text)))
        }
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(fail(lua, format!("{what}: {role} is not UTF-8"))),
    }
}

/// The full name for `worker(name)`: with the package from the configuration before it.
pub(super) fn qualified(
    lua: &Lua,
    package: Option<&str>,
    (what, value): (String, LuaValue),
) -> mlua::Result<String> {
    let name = name(lua, &what, "the worker's name", &value)?;
    Ok(match package {
        Some(package) if !name.contains('.') => format!("{package}.{name}"),
        _ => name,
    })
}

fn arguments(args: &LuaValue) -> Result<Vec<String>, String> {
    match args {
        LuaValue::Nil => Ok(Vec::new()),
        LuaValue::Table(table) => list(table, "args")?.iter().enumerate().map(argument).collect(),
        LuaValue::UserData(object) => match object.borrow::<View>() {
            Ok(view) => match view.value()? {
                Value::List(items) => items.iter().enumerate().map(yaml_argument).collect(),
                other => Err(format!("args must be a list, got {}", other.kind())),
            },
            Err(_) => Err(not_a_list(args)),
        },
        other => Err(not_a_list(other)),
    }
}

fn not_a_list(value: &LuaValue) -> String {
    format!("args must be a list in braces, as in {{ \"--debug\" }}, got {}", kind_name(value))
}

/// The items of a table that must be a list without holes; `what` it is called in errors.
pub(super) fn list(table: &Table, what: &str) -> Result<Vec<LuaValue>, String> {
    let mut items: Vec<(i64, LuaValue)> = Vec::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair.map_err(|error| format!("{what}: {error}"))?;
        if items.len() >= LONGEST_LIST {
            return Err(format!("{what} has more than {LONGEST_LIST} items"));
        }
        match key {
            LuaValue::Integer(place) if place >= 1 => items.push((place, value)),
            LuaValue::String(key) => {
                return Err(format!("{what} must be a list, but has the key {:?}", key.to_string_lossy()));
            }
            other => return Err(format!("{what} must be a list, but has {} as a key", kind_name(&other))),
        }
    }
    items.sort_by_key(|(place, _)| *place);
    for (expected, (place, _)) in (1..).zip(&items) {
        if *place != expected {
            return Err(format!(
                "{what}[{expected}] is nil; is a name misspelt, or the checklist incomplete?"
            ));
        }
    }
    Ok(items.into_iter().map(|(_, value)| value).collect())
}

fn argument((index, value): (usize, &LuaValue)) -> Result<String, String> {
    let place = index + 1;
    match value {
        LuaValue::String(text) => match text.to_str() {
            Ok(text) => plain(place, &text),
            Err(_) => Err(format!("args[{place}] is not UTF-8")),
        },
        LuaValue::Integer(number) => Ok(number.to_string()),
        LuaValue::Number(number) => Err(float(place, *number)),
        LuaValue::UserData(object) => match object.borrow::<Moment>() {
            Ok(moment) => Ok(moment.iso()),
            Err(_) => Err(wrong(place, kind_name(value))),
        },
        other => Err(wrong(place, kind_name(other))),
    }
}

fn yaml_argument((index, value): (usize, &Value)) -> Result<String, String> {
    let place = index + 1;
    match value {
        Value::Str(text) => plain(place, text),
        Value::Int(number) => Ok(number.to_string()),
        Value::BigInt(number) => Ok(number.to_string()),
        Value::Float(number) => Err(float(place, *number)),
        Value::Date(date) => Ok(Moment::from_date(*date).iso()),
        Value::DateTime(time) => Ok(Moment::from_yaml(*time).iso()),
        other => Err(wrong(place, other.kind())),
    }
}

/// No command line can carry a zero byte.
fn plain(place: usize, text: &str) -> Result<String, String> {
    if text.contains('\0') {
        Err(format!("args[{place}] has a zero byte in it"))
    } else {
        Ok(text.to_owned())
    }
}

fn float(place: usize, number: f64) -> String {
    format!(
        "args[{place}] is the number {number:?}; say how to write it, as in string.format(\"%.1f\", x), or \
         math.tointeger(x) for a whole one"
    )
}

fn wrong(place: usize, kind: &str) -> String {
    format!("args[{place}] is {kind}; an argument is text, an integer or a date")
}

fn host(lua: &Lua, what: &str, opts: &LuaValue) -> mlua::Result<String> {
    let mut host = "localhost".to_owned();
    let opts = match opts {
        LuaValue::Nil => return Ok(host),
        LuaValue::Table(opts) => opts,
        other => {
            let kind = kind_name(other);
            return Err(fail(
                lua,
                format!("{what}: the options must be a table, as in {{ host = \"…\" }}, got {kind}"),
            ));
        }
    };
    let mut unknown: Vec<String> = Vec::new();
    for pair in opts.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair?;
        let key =
            key.as_string().map_or_else(|| kind_name(&key).to_owned(), mlua::LuaString::to_string_lossy);
        if key == "host" {
            host = name(lua, what, "the host", &value)?;
        } else {
            unknown.push(key);
        }
    }
    // The table's own order changes from run to run, and the same rule must give the same error.
    unknown.sort();
    match unknown.first() {
        None => Ok(host),
        Some(key) if KNOWN.contains(&key.as_str()) => Err(fail(
            lua,
            format!("{what}: the option {key:?} is not supported in this version; only host is"),
        )),
        Some(key) => {
            let hint = did_you_mean(key, KNOWN.into_iter());
            let hint = hint.unwrap_or_else(|| format!("; the options are {}", KNOWN.join(", ")));
            Err(fail(lua, format!("{what}: there is no option {key:?}{hint}")))
        }
    }
}

/// What an error calls a value: "a table", "text".
pub(super) fn kind_name(value: &LuaValue) -> &'static str {
    match value {
        LuaValue::Nil => "nil",
        LuaValue::Boolean(_) => "true or false",
        LuaValue::LightUserData(_) => "null",
        LuaValue::Integer(_) => "an integer",
        LuaValue::Number(_) => "a number",
        LuaValue::String(_) => "text",
        LuaValue::Table(_) => "a table",
        LuaValue::Function(_) => "a function",
        LuaValue::Thread(_) => "a coroutine",
        LuaValue::UserData(object) if object.is::<View>() => "a table",
        LuaValue::UserData(object) if object.is::<Moment>() => "a date",
        LuaValue::UserData(object) if object.is::<Launch>() => "a NextWorker",
        _ => "an object",
    }
}
