//! The objects that rules return, as Lua holds them, and the memory that they use outside of the Lua virtual machine.

use super::budget::OutsideMemory;
use nowcast_core::cycles::NoteScope;
use nowcast_core::{Cycle, JoinRequest, NextWorker, Requirement};

/// The bytes that the allocator adds to a text or a list, at most.
const ALLOCATION: usize = 16;

/// A launch as Lua holds it.
#[derive(Debug)]
pub(super) struct LuaLaunch(
    pub(super) NextWorker,
    #[expect(dead_code, reason = "it counts until the object is dropped")] pub(super) OutsideMemory,
);

/// A join as Lua holds it.
#[derive(Debug)]
pub(super) struct LuaJoin(
    pub(super) JoinRequest,
    #[expect(dead_code, reason = "it counts until the object is dropped")] pub(super) OutsideMemory,
);

/// Return the bytes that a launch uses.
pub(super) fn size_of_launch(launch: &NextWorker) -> usize {
    let NextWorker { module, args, host, options, location } = launch;
    let args = args.iter().map(|arg| size_of_text(arg)).sum::<usize>();
    let env = options.env.iter().map(|(name, value)| size_of_text(name) + size_of_text(value)).sum::<usize>();
    let location = location.as_deref().map_or(0, size_of_text);
    size_of::<NextWorker>() + size_of_text(module) + size_of_text(host) + args + env + location
}

/// Return the bytes that a join uses.
pub(super) fn size_of_join(join: &JoinRequest) -> usize {
    let JoinRequest { name, wait_for, launch, location, scope, timeout: _ } = join;
    let label = |cycle: &Cycle| size_of_text(cycle.as_str());
    let required = |required: &Requirement| {
        let texts = size_of_text(&required.worker) + required.r#type.as_deref().map_or(0, size_of_text);
        size_of::<Requirement>() + texts + required.cycle.as_ref().map_or(0, label)
    };
    let wait_for = wait_for.iter().map(required).sum::<usize>();
    let launch = launch.iter().map(size_of_launch).sum::<usize>();
    let texts = name.as_deref().map_or(0, size_of_text) + location.as_deref().map_or(0, size_of_text);
    let scope = match scope {
        Some(NoteScope::Cycle(cycle)) => label(cycle),
        Some(NoteScope::Since(_)) | None => 0,
    };
    size_of::<JoinRequest>() + texts + scope + wait_for + launch
}

fn size_of_text(text: &str) -> usize {
    size_of::<String>() + ALLOCATION + text.len()
}
