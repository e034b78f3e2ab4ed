//! Dates as Lua objects: `date("2026-03-14")`, their fields, methods and operators. It never reads a clock.

use std::cmp::Ordering;

use mlua::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods, Value as LuaValue};

use super::error::fail;
use super::items::{entries, known};
use super::kind::{kind_name, whole};
use super::moment::{Moment, Shift};

/// The units of `shift`.
pub(super) const UNITS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "minutes", "seconds"];

/// Implement `d:shift{ days = -1 }`.
fn shift(lua: &Lua, moment: &Moment, by: &LuaValue) -> mlua::Result<Moment> {
    let wrong = |text: String| fail(lua, format!("shift: {text}"));
    let Some(given) = entries(lua, by, "the table of units").map_err(wrong)? else {
        return Err(wrong("write the units in braces, as in d:shift{ days = -1 }".to_owned()));
    };
    let mut shift = Shift::default();
    for (unit, amount) in known(given, "unit", &UNITS).map_err(wrong)? {
        let count = whole(&amount).ok_or_else(|| wrong(format!("{unit} must be a whole number")))?;
        shift.add(unit, count).ok_or_else(|| wrong(format!("{count} {unit} are too many")))?;
    }
    moment.shift(shift).map_err(wrong)
}

/// Implement `date(text[, format])`.
pub(super) fn date(lua: &Lua, text: &LuaValue, format: &LuaValue) -> mlua::Result<Moment> {
    if let Some(moment) = as_date(text) {
        return Ok(moment);
    }
    let LuaValue::String(text) = text else {
        return Err(fail(lua, format!("date: the date must be text, got {}", kind_name(text))));
    };
    let text = text.to_string_lossy();
    let moment = match format {
        LuaValue::Nil => Moment::parse(&text),
        LuaValue::String(format) => Moment::parse_as(&text, &format.to_string_lossy()),
        other => {
            let kind = kind_name(other);
            return Err(fail(lua, format!("date: the format must be text, got {kind}")));
        }
    };
    moment.map_err(|text| fail(lua, format!("date: {text}")))
}

/// The methods of a date, created once for each virtual machine.
struct Methods {
    shift: mlua::Function,
    format: mlua::Function,
}

/// Create the methods of dates. Must be called once for each virtual machine.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    let shift = lua.create_function(|lua, (this, by): (LuaValue, LuaValue)| {
        let this = this_date(lua, &this, "shift")?;
        shift(lua, &this, &by)
    })?;
    let format = lua.create_function(|lua, (this, format): (LuaValue, LuaValue)| {
        let this = this_date(lua, &this, "format")?;
        let LuaValue::String(format) = format else {
            return Err(fail(lua, "format: write d:format(\"%Y-%m-%d\")"));
        };
        this.format(&format.to_string_lossy()).map_err(|text| fail(lua, format!("format: {text}")))
    })?;
    lua.set_app_data(Methods { shift, format });
    Ok(())
}

fn this_date(lua: &Lua, value: &LuaValue, method: &str) -> mlua::Result<Moment> {
    as_date(value)
        .ok_or_else(|| fail(lua, format!("{method}: write a colon, as in d:{method}(…), where d is a date")))
}

/// Return both operands of a comparison or a subtraction as dates.
fn both(lua: &Lua, a: &LuaValue, b: &LuaValue) -> mlua::Result<(Moment, Moment)> {
    match (as_date(a), as_date(b)) {
        (Some(a), Some(b)) => Ok((a, b)),
        (first, _) => {
            let other = kind_name(if first.is_none() { a } else { b });
            Err(fail(
                lua,
                format!("a date can only be compared with a date, not with {other}; use date(text)"),
            ))
        }
    }
}

fn as_date(value: &LuaValue) -> Option<Moment> {
    value.as_userdata()?.borrow::<Moment>().ok().map(|moment| moment.clone())
}

impl UserData for Moment {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, moment, key: LuaValue| {
            let civil = moment.civil();
            let key = key.as_string().map(mlua::LuaString::to_string_lossy).unwrap_or_default();
            Ok(match key.as_str() {
                "year" => LuaValue::Integer(civil.year().into()),
                "month" => LuaValue::Integer(civil.month().into()),
                "day" => LuaValue::Integer(civil.day().into()),
                "hour" => LuaValue::Integer(civil.hour().into()),
                "minute" => LuaValue::Integer(civil.minute().into()),
                "second" => LuaValue::Integer(civil.second().into()),
                "weekday" => LuaValue::Integer(civil.weekday().to_monday_one_offset().into()),
                "shift" | "format" => {
                    let methods = lua.app_data_ref::<Methods>();
                    let method = methods
                        .map(|all| if key == "shift" { all.shift.clone() } else { all.format.clone() });
                    method.map_or(LuaValue::Nil, LuaValue::Function)
                }
                other => {
                    let known = "year, month, day, hour, minute, second, weekday, shift and format";
                    return Err(fail(lua, format!("a date has no {other:?}; it has {known}")));
                }
            })
        });
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, _, (_, _): (LuaValue, LuaValue)| -> mlua::Result<()> {
                Err(fail(lua, "a date cannot be changed; d:shift{ days = 1 } gives a new one"))
            },
        );
        methods.add_meta_method(MetaMethod::ToString, |_, moment, ()| Ok(moment.iso()));
        methods.add_meta_function(MetaMethod::Concat, |lua, (a, b): (LuaValue, LuaValue)| {
            let text = |value: &LuaValue| match value {
                LuaValue::UserData(object) => object.borrow::<Moment>().ok().map(|moment| moment.iso()),
                LuaValue::String(text) => Some(text.to_string_lossy()),
                LuaValue::Integer(number) => Some(number.to_string()),
                LuaValue::Number(_) => {
                    lua.coerce_string(value.clone()).ok().flatten().map(|text| text.to_string_lossy())
                }
                _ => None,
            };
            match (text(&a), text(&b)) {
                (Some(a), Some(b)) => Ok(a + &b),
                (a_text, _) => {
                    let other = kind_name(if a_text.is_none() { &a } else { &b });
                    Err(fail(lua, format!("attempt to join a date and {other}")))
                }
            }
        });
        methods.add_meta_function(MetaMethod::Eq, |lua, (a, b): (LuaValue, LuaValue)| {
            Ok(both(lua, &a, &b).is_ok_and(|(a, b)| a.compare(&b) == Ordering::Equal))
        });
        methods.add_meta_function(MetaMethod::Lt, |lua, (a, b): (LuaValue, LuaValue)| {
            both(lua, &a, &b).map(|(a, b)| a.compare(&b) == Ordering::Less)
        });
        methods.add_meta_function(MetaMethod::Le, |lua, (a, b): (LuaValue, LuaValue)| {
            both(lua, &a, &b).map(|(a, b)| a.compare(&b) != Ordering::Greater)
        });
        methods.add_meta_function(MetaMethod::Sub, |lua, (a, b): (LuaValue, LuaValue)| {
            let (a, b) = both(lua, &a, &b)?;
            let difference = a.since(&b);
            let seconds = difference.as_secs();
            Ok(if seconds % 86_400 == 0 && difference.subsec_nanos() == 0 {
                LuaValue::Integer(seconds / 86_400)
            } else {
                LuaValue::Number(difference.as_secs_f64() / 86_400.0)
            })
        });
    }

    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__name", "date");
    }
}
