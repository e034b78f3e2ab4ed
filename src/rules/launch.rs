//! `NextWorker(module, args, opts)`: a launch that a rule returns. It never launches anything.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use mlua::{
    Function, Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value as LuaValue,
};

use super::call_state::CallState;
use super::error::{fail, place_in_the_rules};
use super::items::list;
use super::kind::{described, kind_name};
use super::moment::Moment;
use super::name::name;
use super::objects::{LuaJoin, LuaLaunch, size_of_launch};
use super::options;
use super::view::View;
use nowcast_core::{CycleOption, LaunchOptions, NextWorker};
use pyyaml::Value;

/// The method `launch:with{ … }`, created once for each virtual machine.
pub(super) struct LaunchWith(pub(super) Function);

/// The fields of a launch, for errors.
const FIELDS: &str = "module, args, host, delay, at, timeout, retries, retry_delay, env, cycle and with";

impl UserData for LuaLaunch {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__name", "NextWorker");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, launch, ()| Ok(launch.0.to_string()));
        methods.add_meta_method(MetaMethod::Index, |lua, launch, key: LuaValue| launch.field(lua, &key));
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, _, (_, _): (LuaValue, LuaValue)| -> mlua::Result<()> {
                Err(fail(
                    lua,
                    "a NextWorker cannot be changed; launch:with{ delay = \"10m\" } gives another one",
                ))
            },
        );
        methods.add_meta_method(MetaMethod::Eq, |_, launch, other: LuaValue| {
            let other = other.as_userdata().and_then(|object| object.borrow::<LuaLaunch>().ok());
            Ok(other.is_some_and(|other| is_same(&launch.0, &other.0)))
        });
    }
}

/// Return whether both launches are equal, no matter where the rules created them.
fn is_same(one: &NextWorker, other: &NextWorker) -> bool {
    let NextWorker { module, args, host, options, location: _ } = one;
    (module, args, host, options) == (&other.module, &other.args, &other.host, &other.options)
}

impl LuaLaunch {
    fn field(&self, lua: &Lua, key: &LuaValue) -> mlua::Result<LuaValue> {
        let NextWorker { module, args, host, options, .. } = &self.0;
        let key = key.as_string().map(LuaString::to_string_lossy).unwrap_or_default();
        match key.as_str() {
            "module" => lua.create_string(module).map(LuaValue::String),
            "host" => lua.create_string(host).map(LuaValue::String),
            "args" => lua.create_sequence_from(args.iter().map(String::as_str)).map(LuaValue::Table),
            "with" => Ok(lua
                .app_data_ref::<LaunchWith>()
                .map_or(LuaValue::Nil, |with| LuaValue::Function(with.0.clone()))),
            "env" if options.env.is_empty() => Ok(LuaValue::Nil),
            "env" => {
                let variables = options.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                lua.create_table_from(variables).map(LuaValue::Table)
            }
            other => match scalar(lua, options, other)? {
                Some(value) => Ok(value),
                None => Err(fail(lua, format!("a NextWorker has no {other:?}; it has {FIELDS}"))),
            },
        }
    }
}

/// Return an option that is a single value, with durations in seconds and a moment as a date; `None` if no option has
/// that name.
fn scalar(lua: &Lua, options: &LaunchOptions, name: &str) -> mlua::Result<Option<LuaValue>> {
    #[allow(clippy::cast_precision_loss, reason = "spans are at most ten years")]
    let span = |span: SignedDuration| {
        if span.subsec_nanos() == 0 {
            LuaValue::Integer(span.as_secs())
        } else {
            LuaValue::Number(span.as_secs_f64())
        }
    };
    let value = match name {
        "delay" => options.delay.map(span),
        "timeout" => options.timeout.map(span),
        "retry_delay" => options.retry_delay.map(span),
        "retries" => options.retries.map(|count| LuaValue::Integer(count.into())),
        "at" => match options.at {
            Some(at) => {
                let moment = Moment::from_zoned(&at.to_zoned_datetime(TimeZone::UTC));
                Some(LuaValue::UserData(lua.create_userdata(moment)?))
            }
            None => None,
        },
        "cycle" => match &options.cycle {
            Some(CycleOption::Label(cycle)) => Some(LuaValue::String(lua.create_string(cycle.as_str())?)),
            Some(CycleOption::None) => Some(LuaValue::Boolean(false)),
            None => None,
        },
        _ => return Ok(None),
    };
    Ok(Some(value.unwrap_or(LuaValue::Nil)))
}

/// Create a launch for the function `what`, or raise an error that says what is wrong with it.
pub(super) fn launch(
    lua: &Lua,
    call: &CallState,
    (what, module, args, opts): (LuaString, LuaValue, LuaValue, LuaValue),
) -> mlua::Result<LuaLaunch> {
    let what = what.to_string_lossy();
    let wrong = |text: String| fail(lua, format!("{what}: {text}"));
    let module = name(call, "the worker's module", &module).map_err(wrong)?;
    let args = arguments(call, &args).map_err(|text| fail(lua, format!("{what}({module:?}): {text}")))?;
    let mut worker = NextWorker::new(module, args);
    if !opts.is_nil() {
        options::apply(lua, call, &mut worker, &opts).map_err(wrong)?;
    }
    worker.location = place_in_the_rules(lua, |chunk| call.sources.has_chunk(chunk));
    held(lua, call, worker)
}

/// Implement `launch:with{ delay = "10m" }`: return the same launch with other options.
pub(super) fn with(
    lua: &Lua,
    call: &CallState,
    (launch, opts): (LuaValue, LuaValue),
) -> mlua::Result<LuaLaunch> {
    let launch = launch.as_userdata().and_then(|object| object.borrow::<LuaLaunch>().ok());
    let Some(launch) = launch else {
        return Err(fail(lua, "with: write a colon, as in worker(\"name\"):with{ delay = \"10m\" }"));
    };
    let mut worker = copy(call, &launch.0).map_err(|text| fail(lua, format!("with: {text}")))?;
    options::apply(lua, call, &mut worker, &opts).map_err(|text| fail(lua, format!("with: {text}")))?;
    held(lua, call, worker)
}

/// Return a launch for Lua, and count its memory.
fn held(lua: &Lua, call: &CallState, worker: NextWorker) -> mlua::Result<LuaLaunch> {
    let memory = call.budget.hold(lua, size_of_launch(&worker))?;
    Ok(LuaLaunch(worker, memory))
}

/// Copy a launch out of the Lua virtual machine, if the call's limit for text allows it.
pub(super) fn copy(call: &CallState, worker: &NextWorker) -> Result<NextWorker, String> {
    let variables = worker.options.env.iter().map(|(name, value)| name.len() + value.len());
    let texts = worker.args.iter().map(String::len).chain(variables);
    call.hold(worker.module.len() + worker.host.len() + texts.sum::<usize>())?;
    Ok(worker.clone())
}

/// Return copies of the launches in a list. Errors call the list `what`.
pub(super) fn launches(call: &CallState, what: &str, items: &[LuaValue]) -> Result<Vec<NextWorker>, String> {
    let launch = |(index, item): (usize, &LuaValue)| {
        let place = index + 1;
        let object = item.as_userdata();
        match object.and_then(|object| object.borrow::<LuaLaunch>().ok()) {
            Some(launch) => copy(call, &launch.0),
            None if object.is_some_and(mlua::AnyUserData::is::<LuaJoin>) => Err(format!(
                "{what} has a Join at place {place}; a rule returns it behind its list: return {{ … }}, Join{{ … }}"
            )),
            None => {
                let item = described(item);
                Err(format!("{what} has {item} at place {place}; every item must be a NextWorker"))
            }
        }
    };
    items.iter().enumerate().map(launch).collect()
}

/// Return the full module name for `worker(name)`: a name without a dot gets the package from the configuration.
pub(super) fn qualified(
    lua: &Lua,
    call: &CallState,
    (what, value): (String, LuaValue),
) -> mlua::Result<String> {
    let name =
        name(call, "the worker's name", &value).map_err(|text| fail(lua, format!("{what}: {text}")))?;
    Ok(match &call.options.package {
        Some(package) if !name.contains('.') => format!("{package}.{name}"),
        _ => name,
    })
}

fn arguments(call: &CallState, args: &LuaValue) -> Result<Vec<String>, String> {
    match args {
        LuaValue::Nil => Ok(Vec::new()),
        LuaValue::Table(table) => {
            list(table, "args")?.iter().enumerate().map(|item| argument(call, item)).collect()
        }
        LuaValue::UserData(object) => match object.borrow::<View>() {
            Ok(view) => match view.value()? {
                Value::List(items) => {
                    items.iter().enumerate().map(|item| yaml_argument(call, item)).collect()
                }
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

fn argument(call: &CallState, (index, value): (usize, &LuaValue)) -> Result<String, String> {
    let place = index + 1;
    match value {
        LuaValue::String(text) => match text.to_str() {
            Ok(text) => plain(call, place, &text),
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

fn yaml_argument(call: &CallState, (index, value): (usize, &Value)) -> Result<String, String> {
    let place = index + 1;
    match value {
        Value::Str(text) => plain(call, place, text),
        Value::Int(number) => Ok(number.to_string()),
        Value::BigInt(number) => Ok(number.to_string()),
        Value::Float(number) => Err(float(place, *number)),
        Value::Date(date) => Ok(Moment::from_date(*date).iso()),
        Value::DateTime(time) => Ok(Moment::from_yaml(*time).iso()),
        other => Err(wrong(place, other.kind())),
    }
}

/// Keep a text argument. A zero byte is refused, because a command line cannot contain one.
fn plain(call: &CallState, place: usize, text: &str) -> Result<String, String> {
    if text.contains('\0') { Err(format!("args[{place}] has a zero byte in it")) } else { call.keep(text) }
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
