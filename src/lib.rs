//! The map of `nowcast`, in reading order: follow a message from the worker that sends it to its effects.
//!
//! 1. [`nowcast_core::message`]: what travels: source, type and payload
//! 2. [`worker`]: the harness, the client that sends the message and waits for the reply, the built-in workers
//! 3. [`net`]: sockets and envelopes
//! 4. [`broker`]: carries requests to the manager and replies back
//! 5. [`manager`]: the loop: wait, decide, perform
//! 6. [`nowcast_core`]: the decisions: events to effects, pure
//! 7. [`rules`]: the user's Lua
//! 8. `manager::perform`: the one executor of effects
//! 9. [`launch`]: command lines, runners, the folders of runs
//! 10. [`store`]: the journal and the checklist file
//! 11. [`notify`]: webhooks, e-mails, heartbeats
//!
//! Around them: [`control`] (operators' requests to the manager), [`signals`], [`scheduler`] (a clock that asks the
//! manager for launches), [`supervise`] (`nowcast up`), [`log_publisher`] and [`log_aggregator`] (log messages
//! over sockets), [`trial`] (rules before they are in force), [`forecast`] (what is still to come), `view` (the model that every surface shows) and
//! [`cli`] (the command line).
//!
//! Under them: [`config`] (nowcast.yaml, read raw, then checked), [`clock`] (the machine's clocks), [`process`] (the
//! identity of a process), [`open_files`] (their limit), [`private_folder`] and [`exposure`] (rights of other users on files), [`orphans`] (processes that a container's first process inherits), [`service_manager`] (reports to systemd), [`version`] (of this program and of the manager), [`failpoint`] (where tests end a process), and
//! the crates [`pyyaml`] (YAML exactly as `PyYAML` reads and writes it), [`pylogging`] (Python's logging
//! dictionaries) and [`error_text`] (parts of error messages).
//!
//! [`nowcast_core`] decides and can reach nothing; only `manager::perform` executes what it decides; only [`cli`]
//! knows every other module. Cargo holds the first, the test `tidy` the rest.

pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod exposure;
pub mod failpoint;
pub mod forecast;
pub mod launch;
pub mod log_aggregator;
pub mod log_publisher;
pub mod manager;
pub mod net;
pub mod notify;
pub mod open_files;
pub mod orphans;
pub mod private_folder;
pub mod process;
pub mod rules;
pub mod scheduler;
pub mod service_manager;
mod shell_words;
pub mod signals;
pub mod store;
pub mod supervise;
pub mod trial;
pub mod version;
mod view;
pub mod worker;
