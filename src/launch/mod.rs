//! Launching workers: their command lines, their runners, and the folders of their runs. It never decides what to launch.

pub mod answer;
pub mod argv;
pub mod children;
mod claim_marks;
mod exit_record;
mod folder_files;
mod folder_state;
mod follow;
pub mod launch_command;
mod launch_request;
mod launched_run;
mod launched_runs;
mod lost_contact;
pub mod old_runs;
pub mod output;
mod program;
mod remote_folder;
mod remote_runs;
pub mod run_folder;
pub mod runner;
mod slurm;
mod ssh;
mod task;
mod template;
mod watch;
mod worker_process;

pub use argv::{command, worker_program};
pub use children::{Children, Environment};
pub use folder_state::RunFolderState;
pub use launch_command::{LaunchCommand, RemoteCommands, RunLocation};
pub use launch_request::LaunchError;
pub use launched_runs::{LaunchedRuns, Started};
pub use lost_contact::LostContact;
pub use program::{note_program_end, print_program_end};
pub use run_folder::RunFolder;
pub use task::RunnerTask;
