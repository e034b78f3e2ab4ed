//! The Python package for workers passes its own tests, with our broker, manager and log aggregator.
//!
//! With `NEMO_NOWCAST_PYTHON`, a Python interpreter that can import `nemo_nowcast`, they also run beside NEMO_Nowcast itself.

use std::path::Path;
use std::process::Command;

use crate::support::python;
use crate::support::system::NOWCAST;

#[test]
fn the_python_package_passes_its_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut command = Command::new(python::venv());
    // Without -B, Python would leave its compiled files beside the source.
    command.args(["-B", "-m", "pytest", "--quiet", "-o", "faulthandler_exit_on_timeout=true"]);
    command.current_dir(folder).env("NOWCAST", NOWCAST);
    let output = command.output().expect("pytest runs");
    let shown = [output.stdout, output.stderr].concat();
    // pytest also fails if it finds no tests.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&shown));
}
