//! The map of `nowcast`: follow a message from the worker that sends it to what comes of it.
//!
//! 1. [`nowcast_core::message`]: what travels, a source, a type and a payload
//! 2. [`worker`]: who sends it; the harness and the built-in workers
//! 3. [`net`]: how it travels; sockets, envelopes, signals, the worker's client
//! 4. [`broker`]: who carries it to the manager and its reply back
//! 5. [`manager`]: who receives it; waits, decides, performs
//! 6. [`nowcast_core`]: what it means; events to effects, pure
//! 7. [`rules`]: what the user's Lua makes of it
//! 8. `manager::perform`: what comes of it; the one executor of effects
//! 9. [`launch`]: workers as command lines and processes
//! 10. [`store`]: what is kept on disk
//! 11. [`notify`]: who is told outside
//! 12. [`trial`]: what rules would do, before they are in force
//! 13. `view`: what every surface shows of it all
//!
//! And what these stand on: [`config`] (nowcast.yaml, read raw, then checked), [`pyyaml`] (a crate: values
//! exactly as `PyYAML` reads and writes them), [`pylogging`] (a crate: Python's logging dictionaries),
//! [`log_publisher`] (log messages on a socket), [`log_aggregator`] (where the log messages of several hosts
//! come together), [`scheduler`] (a clock that asks the manager), [`supervise`] (`nowcast up`), [`failpoint`]
//! (where tests end a process), [`process`] (which process is meant, whatever becomes of its number),
//! [`suggest`] ("did you mean …?"), [`causes`] (an error with its causes) and [`cli`] (the command line).
//!
//! [`nowcast_core`] decides and imports nothing that could reach the world; only `manager::perform` carries out
//! what it decides; only [`cli`] knows every other module. `tests/fast/tidy.rs` holds these lines.

pub mod broker;
pub mod causes;
pub mod cli;
pub mod config;
pub mod control;
pub mod failpoint;
pub mod launch;
pub mod log_aggregator;
pub mod log_publisher;
pub mod manager;
pub mod net;
pub mod notify;
pub mod process;
pub mod rules;
pub mod scheduler;
pub mod signals;
pub mod store;
pub mod suggest;
pub mod supervise;
pub mod trial;
mod view;
pub mod worker;
