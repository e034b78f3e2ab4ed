//! Launching workers: what command a worker is, and its life as a process.

pub mod argv;
pub mod children;
mod marks;
pub mod old_runs;
mod open_run;
pub mod output;
pub mod process;
pub mod run_folder;
pub mod runner;
pub mod runs;

pub use argv::{LaunchError, argv};
pub use children::{Children, Environment};
pub use run_folder::{RunFolder, RunFolderState};
pub use runs::{Runs, Started};
