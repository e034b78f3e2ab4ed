//! `nowcast rules check` and `nowcast rules graph`, by the real program.

mod calls;
mod graph;
mod long_lines;
mod manager;
mod names;
mod rings;
mod types;

use crate::support::system::{Builder, System, system};

/// A system that knows three workers, with these rules.
fn with_rules(rules: &str) -> Builder {
    system().only_rules(rules)
}

/// Functions for the workers that a test is not about.
const OTHERS: &str = "
function after_clear_checklist() return {} end
function after_rotate_logs() return {} end
function after_keyless() return {} end
";

/// What `nowcast rules check` prints, and its exit status.
fn check(system: &System, options: &[&str]) -> (i32, String) {
    let output = system.command(&[&["rules", "check"], options].concat()).output().expect("it runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let folder = system.path("").display().to_string();
    (output.status.code().expect("a status"), text.replace(&folder, ""))
}
