//! The objects that rules return, as Lua holds them.

use nowcast_core::{JoinRequest, NextWorker};

/// A launch as Lua holds it.
#[derive(Debug, Clone)]
pub(super) struct LuaLaunch(pub(super) NextWorker);

/// A join as Lua holds it.
#[derive(Debug, Clone)]
pub(super) struct LuaJoin(pub(super) JoinRequest);
