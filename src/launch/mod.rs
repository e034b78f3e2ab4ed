//! Launching workers: what command a worker is, and its life as a process.

pub mod argv;
pub mod children;
pub mod old_runs;
pub mod output;
pub mod process;
pub mod run_folder;
pub mod runner;
pub mod runs;

pub use argv::{LaunchError, argv};
pub use children::{Children, Environment};
pub use run_folder::{RunFolder, RunFolderState};
pub use runs::{Runs, Started};
