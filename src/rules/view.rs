//! The views of message, configuration and checklist in rules: read-only tables, converted only where a rule reads
//! them.

use std::rc::Rc;

use mlua::{AnyUserData, Lua, MetaMethod, MultiValue, UserData, UserDataMethods, Value as LuaValue};
use num_bigint::BigInt;

use super::budget;
use super::error::fail;
use super::moment::Moment;
use super::reads::KeyFound;
use super::viewed_values::{Handle, ViewPlace, ViewedValues};
use pyyaml::{Map, Value};

/// A list, a mapping or a set among the values that the rule was given.
pub(super) struct View {
    snapshot: Rc<ViewedValues>,
    handle: Handle,
}

impl Drop for View {
    fn drop(&mut self) {
        self.snapshot.release(&self.handle);
    }
}

/// The longest integer that is converted to text, in bits: the time grows with the square of the length.
const LONGEST_INTEGER: u64 = 100_000;

/// The cost of looking for a key, in instructions.
pub(super) const STEPS_PER_KEY: u64 = 10;

/// Convert a value to Lua. Null is `nil`; in a list, where `nil` would end it, see [`item`].
///
/// An integer beyond 64 bits becomes text with all its digits; bytes become a Lua string.
pub(super) fn to_lua(
    lua: &Lua,
    snapshot: &Rc<ViewedValues>,
    value: &Value,
    place: ViewPlace,
) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(flag) => LuaValue::Boolean(*flag),
        Value::Int(number) => LuaValue::Integer(*number),
        Value::BigInt(number) if number.bits() > LONGEST_INTEGER => {
            return Err(fail(lua, format!("an integer of {} bits is too long for a rule", number.bits())));
        }
        Value::BigInt(number) => LuaValue::String(lua.create_string(number.to_string())?),
        Value::Float(number) => LuaValue::Number(*number),
        Value::Str(text) => LuaValue::String(lua.create_string(&**text)?),
        Value::Bytes(bytes) => LuaValue::String(lua.create_string(bytes)?),
        Value::Date(date) => LuaValue::UserData(lua.create_userdata(Moment::from_date(*date))?),
        Value::DateTime(time) => LuaValue::UserData(lua.create_userdata(Moment::from_yaml(*time))?),
        Value::List(_) | Value::Map(_) | Value::Set(_) => {
            LuaValue::UserData(lua.create_userdata(View::new(snapshot, value.clone(), place))?)
        }
    })
}

/// Convert a value to an argument of a rule: a view in any case, an empty one for a scalar. Reads of the checklist,
/// whose place is [`ViewedValues::checklist`], are recorded.
pub(super) fn root(
    lua: &Lua,
    snapshot: &Rc<ViewedValues>,
    value: &Value,
    place: ViewPlace,
) -> mlua::Result<AnyUserData> {
    let value = match value {
        Value::List(_) | Value::Map(_) | Value::Set(_) => value.clone(),
        _ => Value::from(Map::new()),
    };
    lua.create_userdata(View::new(snapshot, value, place))
}

/// Convert an item of a list, or a key, like [`to_lua`]; but null is the value `null`.
fn item(lua: &Lua, snapshot: &Rc<ViewedValues>, value: &Value, place: ViewPlace) -> mlua::Result<LuaValue> {
    if value.is_null() { Ok(LuaValue::NULL) } else { to_lua(lua, snapshot, value, place) }
}

/// The fewest characters of an integer beyond 64 bits.
const SHORTEST_BIG_INTEGER: usize = 19;

/// Return the keys that a Lua value may mean, the likeliest first: to Lua, `1` and `1.0` are the same key, and text, bytes and
/// integers beyond 64 bits are all strings.
fn keys(key: &LuaValue) -> [Option<Value>; 3] {
    match key {
        LuaValue::Boolean(flag) => [Some(Value::Bool(*flag)), None, None],
        #[allow(clippy::cast_precision_loss, reason = "beyond 2^53 no float equals the integer")]
        LuaValue::Integer(number) => [Some(Value::Int(*number)), Some(Value::Float(*number as f64)), None],
        #[allow(clippy::cast_possible_truncation, reason = "compared with what it came from")]
        LuaValue::Number(number) => {
            let whole = *number as i64;
            #[allow(clippy::cast_precision_loss, clippy::float_cmp, reason = "exact equality is meant")]
            let is_whole = whole as f64 == *number;
            [Some(Value::Float(*number)), is_whole.then_some(Value::Int(whole)), None]
        }
        LuaValue::String(text) => match text.to_str() {
            Ok(text) => {
                let bytes = Value::Bytes(text.as_bytes().into());
                [Some(Value::from(&*text)), Some(bytes), big_integer(&text)]
            }
            Err(_) => [Some(Value::Bytes(text.as_bytes().as_ref().into())), None, None],
        },
        LuaValue::LightUserData(_) => [Some(Value::Null), None, None],
        LuaValue::UserData(object) => match object.borrow::<Moment>() {
            Ok(moment) => [Some(moment.to_yaml()), None, None],
            Err(_) => [None, None, None],
        },
        _ => [None, None, None],
    }
}

/// Return the integer beyond 64 bits that [`to_lua`] writes as this text.
fn big_integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_one = digits.len() >= SHORTEST_BIG_INTEGER
        && text.len() <= pyyaml::limits::MAX_DIGITS
        && !digits.starts_with('0')
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_one { text.parse::<BigInt>().ok().map(Value::from) } else { None }
}

impl View {
    fn new(snapshot: &Rc<ViewedValues>, value: Value, place: ViewPlace) -> Self {
        Self { snapshot: Rc::clone(snapshot), handle: snapshot.keep(value, place) }
    }

    /// Create a view of any value, also of a scalar, for [`View::as_lua`].
    pub(super) fn of_value(snapshot: &Rc<ViewedValues>, value: Value) -> Self {
        Self::new(snapshot, value, ViewPlace::Elsewhere)
    }

    /// Convert the value behind the view to Lua.
    pub(super) fn as_lua(&self, lua: &Lua) -> mlua::Result<LuaValue> {
        to_lua(lua, &self.snapshot, &self.seen(lua)?, ViewPlace::Elsewhere)
    }

    /// Return the value behind the view.
    ///
    /// It is a clone, which only counts a reference, because garbage that Lua collects meanwhile changes the snapshot.
    pub(super) fn value(&self) -> Result<Value, &'static str> {
        self.snapshot.get(&self.handle).ok_or(
            "this table belongs to an earlier message, and a rule keeps nothing for the next one: what it needs \
             must be in the checklist",
        )
    }

    fn seen(&self, lua: &Lua) -> mlua::Result<Value> {
        self.value().map_err(|text| fail(lua, text))
    }

    fn len(&self, lua: &Lua) -> mlua::Result<usize> {
        self.snapshot.walk(&self.handle);
        Ok(match &self.seen(lua)? {
            Value::List(items) => items.len(),
            Value::Set(members) => members.len(),
            // As with Lua's tables, `#` counts 1, 2, 3 … up to the first missing one, and 2.0 is 2.
            Value::Map(map) => {
                let is_there = |place: &usize| {
                    keys(&LuaValue::Integer(lua_index(*place)))
                        .iter()
                        .flatten()
                        .any(|key| map.contains_key(key))
                };
                let count = (0..map.len()).take_while(is_there).count();
                budget::charge(lua, count as u64 * STEPS_PER_KEY)?;
                count
            }
            _ => 0,
        })
    }

    fn index(&self, lua: &Lua, key: &LuaValue) -> mlua::Result<LuaValue> {
        let seen = self.seen(lua)?;
        let candidates = keys(key);
        for key in candidates.iter().flatten() {
            let found = match &seen {
                Value::Map(map) => map.get(key),
                Value::List(items) => list_item(items, key),
                Value::Set(members) if members.contains(key) => {
                    self.note_read(&seen, key, KeyFound::Value);
                    return Ok(LuaValue::Boolean(true));
                }
                _ => None,
            };
            let Some(value) = found else { continue };
            let found = match value {
                Value::List(_) | Value::Map(_) | Value::Set(_) => KeyFound::Container,
                _ => KeyFound::Value,
            };
            let place = self.note_read(&seen, key, found);
            if value.is_null() {
                self.snapshot.miss(&self.handle, &seen, key);
            }
            return if matches!(seen, Value::List(_)) {
                item(lua, &self.snapshot, value, place)
            } else {
                to_lua(lua, &self.snapshot, value, place)
            };
        }
        if let Some(key) = &candidates[0] {
            self.note_read(&seen, key, KeyFound::Nothing);
            self.snapshot.miss(&self.handle, &seen, key);
        }
        Ok(LuaValue::Nil)
    }

    fn note_read(&self, seen: &Value, key: &Value, found: KeyFound) -> ViewPlace {
        self.snapshot.note_read(&self.handle, seen, key, found)
    }

    /// Return the keys and values, at most `most`.
    pub(super) fn entries(&self, lua: &Lua, most: usize) -> mlua::Result<Vec<(LuaValue, LuaValue)>> {
        let mut entries = Vec::new();
        while entries.len() < most
            && let Some(entry) = self.at(lua, entries.len())?
        {
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Return the key and value at a position, counted from 0; `nil` after the last.
    fn entry(&self, lua: &Lua, place: usize) -> mlua::Result<MultiValue> {
        Ok(match self.at(lua, place)? {
            Some((key, value)) => MultiValue::from_iter([key, value]),
            None => MultiValue::from_iter([LuaValue::Nil]),
        })
    }

    fn at(&self, lua: &Lua, place: usize) -> mlua::Result<Option<(LuaValue, LuaValue)>> {
        self.snapshot.walk(&self.handle);
        let below = |key: &Value, value: &Value| match value {
            Value::List(_) | Value::Map(_) | Value::Set(_) => self.snapshot.below(&self.handle, key),
            _ => ViewPlace::Elsewhere,
        };
        Ok(match &self.seen(lua)? {
            Value::List(items) => match items.get(place) {
                Some(value) => {
                    let number = lua_index(place);
                    let below = below(&Value::Int(number), value);
                    Some((LuaValue::Integer(number), item(lua, &self.snapshot, value, below)?))
                }
                None => None,
            },
            Value::Map(map) => match map.get_index(place) {
                Some((key, value)) => {
                    let below = below(key, value);
                    let key = item(lua, &self.snapshot, key, ViewPlace::Elsewhere)?;
                    Some((key, to_lua(lua, &self.snapshot, value, below)?))
                }
                None => None,
            },
            Value::Set(members) => match members.get_index(place) {
                Some(key) => {
                    Some((item(lua, &self.snapshot, key, ViewPlace::Elsewhere)?, LuaValue::Boolean(true)))
                }
                None => None,
            },
            _ => None,
        })
    }

    /// Return the position of a key, counted from 0.
    fn place(&self, lua: &Lua, key: &LuaValue) -> mlua::Result<Option<usize>> {
        let seen = self.seen(lua)?;
        let places = keys(key).into_iter().flatten().filter_map(|key| match (&seen, key) {
            (Value::Map(map), key) => map.get_index_of(&key),
            (Value::Set(members), key) => members.get_index_of(&key),
            (Value::List(items), Value::Int(place)) => {
                usize::try_from(place).ok()?.checked_sub(1).filter(|place| *place < items.len())
            }
            _ => None,
        });
        // Of two keys that look alike to Lua the last one counts, or `next` would turn in circles.
        Ok(places.max())
    }

    /// Return whether the key exists, even if its value is null.
    pub(super) fn has(&self, lua: &Lua, key: &LuaValue) -> mlua::Result<bool> {
        Ok(self.place(lua, key)?.is_some())
    }

    /// Return whether both have the same content. Their place in memory depends on earlier messages.
    fn is_same(&self, other: &View) -> bool {
        matches!((self.value(), other.value()), (Ok(one), Ok(other)) if one == other)
    }
}

/// Return the item of a list under a key that counts from 1.
fn list_item<'a>(items: &'a [Value], key: &Value) -> Option<&'a Value> {
    let Value::Int(place) = key else { return None };
    items.get(usize::try_from(*place).ok()?.checked_sub(1)?)
}

fn lua_index(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX).saturating_add(1)
}

impl UserData for View {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, view, key: LuaValue| view.index(lua, &key));
        methods.add_meta_method(MetaMethod::Len, |lua, view, ()| view.len(lua));
        methods.add_meta_method(MetaMethod::Eq, |lua, view, other: LuaValue| {
            // The comparison can go through the whole checklist, so the clock is looked at each time.
            budget::charge(lua, 1)?;
            let other = other.as_userdata().map(AnyUserData::borrow::<View>);
            Ok(matches!(other, Some(Ok(other)) if view.is_same(&other)))
        });
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, _, (key, _): (LuaValue, LuaValue)| -> mlua::Result<()> {
                let key = key.as_string().map(|key| format!(" (key {:?})", key.to_string_lossy()));
                Err(refuse_write(lua, &key.unwrap_or_default()))
            },
        );
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("table"));
    }

    fn add_fields<F: mlua::UserDataFields<Self>>(fields: &mut F) {
        // The type name in Lua's own errors: "attempt to call a table value".
        fields.add_meta_field("__name", "table");
    }
}

/// Return the error for a write to a view.
pub(super) fn refuse_write(lua: &Lua, what: &str) -> mlua::Error {
    fail(
        lua,
        format!(
            "the message, the configuration and the checklist are read-only{what}: copy what you need into a local \
             table; the checklist changes by the payload of a worker's message"
        ),
    )
}

/// Implement `next(view, key)`.
pub(super) fn next(lua: &Lua, view: &View, key: &LuaValue) -> mlua::Result<MultiValue> {
    if key.is_nil() {
        return view.entry(lua, 0);
    }
    match view.place(lua, key)? {
        Some(place) => view.entry(lua, place + 1),
        None => Err(fail(lua, "next: that key is not in the table")),
    }
}

/// Return the entry at a position counted from 1, for `pairs`.
pub(super) fn entry(lua: &Lua, view: &View, place: usize) -> mlua::Result<MultiValue> {
    view.entry(lua, place.saturating_sub(1))
}
