//! The message that `last(…)` returns, as Lua holds it.

use jiff::ZonedDateTime;
use mlua::{Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value as LuaValue};

use super::budget::OutsideMemory;
use super::error::fail;
use super::moment::Moment;
use super::view::View;
use nowcast_core::Cycle;

/// The fields of a message, for errors.
const FIELDS: &str = "time, cycle and payload";

/// A message that `last` returned, as Lua holds it. Its payload ends with the call, as views do.
pub(super) struct LuaLastMessage {
    /// The worker and the type, for errors.
    pub(super) label: String,
    pub(super) at: ZonedDateTime,
    pub(super) cycle: Option<Cycle>,
    /// `None` if it was too large to be noted.
    pub(super) payload: Option<View>,
    #[expect(dead_code, reason = "it counts until the object is dropped")]
    pub(super) memory: OutsideMemory,
}

impl LuaLastMessage {
    /// Format the message for `tostring`.
    pub(super) fn text(&self) -> &str {
        &self.label
    }

    fn field(&self, lua: &Lua, key: &LuaValue) -> mlua::Result<LuaValue> {
        let key = key.as_string().map(LuaString::to_string_lossy).unwrap_or_default();
        match (key.as_str(), &self.payload) {
            ("time", _) => lua.create_userdata(Moment::from_zoned(&self.at)).map(LuaValue::UserData),
            ("cycle", _) => match &self.cycle {
                Some(cycle) => lua.create_string(cycle.as_str()).map(LuaValue::String),
                None => Ok(LuaValue::Nil),
            },
            ("payload", Some(payload)) => payload.as_lua(lua),
            ("payload", None) => Err(fail(
                lua,
                format!(
                    "last: the payload of {} is too large to be noted; read it from the checklist",
                    self.label
                ),
            )),
            (other, _) => Err(fail(lua, format!("a message of last() has no {other:?}; it has {FIELDS}"))),
        }
    }
}

impl UserData for LuaLastMessage {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__name", "LastMessage");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, message, ()| Ok(message.text().to_owned()));
        methods.add_meta_method(MetaMethod::Index, |lua, message, key: LuaValue| message.field(lua, &key));
        methods.add_meta_method(
            MetaMethod::NewIndex,
            |lua, _, (_, _): (LuaValue, LuaValue)| -> mlua::Result<()> {
                Err(fail(lua, "a message of last() is read-only; copy what you need into a local table"))
            },
        );
    }
}
