//! The configuration: `nowcast.yaml` read raw, then checked.
//!
//! One file serves NEMO_Nowcast and us. Sections that we own are checked strictly; sections that belong
//! to the users' workers and rules pass through untouched and in order, in [`Config::value`].
//! It must never log: problems are returned for the caller to show. Only [`Config::make_default_log_folder`] writes.

mod check;
mod check_notifications;
mod check_slack;
mod checked;
pub mod defaults;
pub mod duration;
mod environment;
mod expect;
pub mod hosts;
mod log_ports;
mod names;
pub mod notify;
mod own;
mod problem;
mod raw;
mod regular;
mod schedule;
mod scheduled;
mod sections;
mod serde_value;
mod times;
mod words;

pub use check::{load, load_with, parse};
pub use checked::{
    Config, Host, JournalSettings, Launcher, LogPort, LogPorts, Registry, SlurmSettings, TemplateSettings,
    WorkerSettings, Zmq,
};
pub use environment::Lookup;
pub use notify::Notifications;
pub use problem::{ConfigError, Problem, Severity};
pub use regular::{read_regular, read_regular_up_to};
pub use scheduled::{CatchUp, ScheduledWorker};
pub use times::Times;

/// What SIGHUP does first in a daemon: reads the configuration again and sets up logging from it; `None`
/// when the new one is refused and the old one stays.
pub type ReloadConfig<'a> = &'a mut dyn FnMut() -> Option<Config>;
