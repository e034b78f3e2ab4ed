//! `os.date` and `os.time` of rules: the time of the message. They must never read a clock.

use jiff::civil::Date;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use mlua::{Lua, Table, Value as LuaValue};

use super::error::fail;
use super::moment::{Moment, Shift, check_format};

/// Implement `os.time([table])`: return seconds since 1970.
pub(super) fn time(lua: &Lua, now: &ZonedDateTime, table: &LuaValue) -> mlua::Result<i64> {
    let table = match table {
        LuaValue::Nil => return Ok(now.timestamp().as_second()),
        LuaValue::Table(table) => table,
        _ => return Err(fail(lua, "os.time: a table with year, month and day was expected")),
    };
    let field = |name: &str, default: Option<i64>| -> mlua::Result<i64> {
        match table.raw_get::<Option<i64>>(name)?.or(default) {
            Some(number) => Ok(number),
            None => Err(fail(lua, format!("os.time: the table has no {name}"))),
        }
    };
    let (year, month, day) = (field("year", None)?, field("month", None)?, field("day", None)?);
    let (hour, minute, second) = (field("hour", Some(12))?, field("min", Some(0))?, field("sec", Some(0))?);
    let start = i16::try_from(year).ok().and_then(|year| Date::new(year, 1, 1).ok());
    // Units carry over as in C, so month 13 is next January.
    let mut shift = Shift::default();
    let units = [
        ("months", month.saturating_sub(1)),
        ("days", day.saturating_sub(1)),
        ("hours", hour),
        ("minutes", minute),
        ("seconds", second),
    ];
    let is_possible = units.iter().all(|(unit, count)| shift.add(unit, *count).is_some());
    let moment = start.filter(|_| is_possible).and_then(|start| Moment::from_date(start).shift(shift).ok());
    let zoned = moment.and_then(|moment| moment.civil().to_zoned_datetime(now.time_zone().clone()).ok());
    zoned.map(|zoned| zoned.timestamp().as_second()).ok_or_else(|| fail(lua, "os.time: that is not a date"))
}

/// Implement `os.date([format[, time]])`.
pub(super) fn date(
    lua: &Lua,
    now: &ZonedDateTime,
    format: Option<&str>,
    time: Option<i64>,
) -> mlua::Result<LuaValue> {
    let format = format.unwrap_or("%c");
    let (format, zone) = match format.strip_prefix('!') {
        Some(format) => (format, TimeZone::UTC),
        None => (format, now.time_zone().clone()),
    };
    let stamp = match time {
        Some(seconds) => {
            Timestamp::from_second(seconds).map_err(|error| fail(lua, format!("os.date: {error}")))?
        }
        None => now.timestamp(),
    };
    let zoned = stamp.to_zoned_datetime(zone);
    if format.starts_with("*t") {
        return Ok(LuaValue::Table(fields(lua, &zoned)?));
    }
    check_format(format).map_err(|text| fail(lua, format!("os.date: {text}")))?;
    let text = strtime::format(format, &zoned).map_err(|error| fail(lua, format!("os.date: {error}")))?;
    Ok(LuaValue::String(lua.create_string(text)?))
}

fn fields(lua: &Lua, zoned: &ZonedDateTime) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("year", zoned.year())?;
    table.raw_set("month", zoned.month())?;
    table.raw_set("day", zoned.day())?;
    table.raw_set("hour", zoned.hour())?;
    table.raw_set("min", zoned.minute())?;
    table.raw_set("sec", zoned.second())?;
    table.raw_set("wday", zoned.weekday().to_sunday_one_offset())?;
    table.raw_set("yday", zoned.day_of_year())?;
    let is_dst = zoned.time_zone().to_offset_info(zoned.timestamp()).dst().is_dst();
    table.raw_set("isdst", is_dst)?;
    Ok(table)
}
