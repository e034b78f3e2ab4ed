//! The configuration: `nowcast.yaml`, parsed and then checked.
//!
//! One file serves NEMO_Nowcast and nowcast. Our own sections are checked strictly; sections that belong to the users'
//! workers and rules are kept unchanged and in order in [`Config::value`]. This module never logs: it returns problems
//! for the caller to show. Only [`Config::make_default_log_folder`] writes.

mod check;
mod check_notifications;
mod check_security;
mod check_slack;
mod check_start;
mod checked;
mod cycles;
mod default_settings;
pub mod defaults;
pub mod duration;
mod environment;
mod expect;
pub mod hosts;
mod include;
mod log_ports;
mod names;
pub mod notify;
mod own;
mod places;
mod problem;
mod raw;
mod regular;
mod repeated_hour;
mod schedule;
mod scheduled;
mod schema;
mod sections;
pub mod security;
mod serde_value;
pub mod size;
mod times;
mod words;

pub use check::{load, load_with, parse, parse_with};
pub use checked::{
    Config, Host, JournalSettings, Launcher, LogPort, LogPorts, Registry, SlurmSettings, StartSettings,
    TemplateSettings, WorkerSettings, Zmq,
};
pub use default_settings::SettingPath;
pub use environment::Lookup;
pub use include::{MERGED_FROM, ReadFile};
pub use notify::Notifications;
pub use places::{KeyPlace, KeyPlaces};
pub use problem::{ConfigError, Problem, Severity};
pub use regular::{copy_regular, read_regular, read_regular_up_to};
pub use scheduled::{CatchUp, ScheduledWorker};
pub use schema::schema;
pub use security::{AllowedNetworks, CurveSettings, Port, SecuritySettings, WireLimits};
pub use times::Times;

/// A function that daemons call first on SIGHUP. It reloads the configuration and sets up logging from it, or returns why
/// the new configuration is refused; the previous one then stays.
pub type ReloadConfig<'a> = &'a mut dyn FnMut() -> Result<Config, String>;
