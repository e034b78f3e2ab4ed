//! The rules engine: the user's Lua behind [`nowcast_core::Rules`].
//!
//! From the outside in: [`locate()`] finds the file, [`Reloader`] keeps its rules in force while it is edited, and
//! [`Engine`] calls them. Inside, `vm` builds the sandbox from `lua/*.lua` and the functions of `api`; `view`,
//! `moment`, `launch` and `join` are the objects that rules handle; `budget` and `pattern` enforce the [`CallLimits`]
//! of each call.
//!
//! Rules can reach only what they are given: no file, clock, network or other process. They keep nothing from one
//! message to the next: their files run again for each call, globals are frozen while a rule runs, and views end with
//! their call. So the result depends on the arguments alone.

mod api;
mod budget;
mod call_state;
mod clock;
mod compile;
mod date;
mod engine;
mod error;
mod explain;
mod items;
mod join;
mod kind;
mod last;
mod last_message;
mod launch;
pub mod library;
mod limits;
mod lines;
mod locate;
mod missing_key;
mod moment;
mod name;
mod objects;
mod options;
mod origin;
mod path;
mod pattern;
mod reads;
mod reload;
mod returned;
mod script;
mod script_function;
mod source;
pub mod system_names;
mod text;
mod view;
mod viewed_values;
mod vm;

pub(crate) use api::is_name;
pub use engine::Engine;
pub use error::{FailureParts, RulesLoadError, parse_place, place};
pub use limits::{CallLimits, EngineOptions};
pub use locate::{LocateError, locate};
pub(crate) use options::since_of_text;
pub(crate) use reads::key_text;
pub use reload::{Reload, Reloader, RuleSet};
pub use script::{Script, ScriptTest, TestFailure};
pub use script_function::{Argument, ScriptFunction};
pub use source::RuleText;
pub(crate) use text::matches as matches_pattern;
pub use vm::RuleFunction;
