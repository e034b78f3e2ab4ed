//! The meaning of a YAML text, for us and for the real `PyYAML`.

// Reading needs a part of these files only.
#[allow(dead_code)]
#[path = "../../crates/pyyaml/tests/reference/codec.rs"]
mod codec;
#[path = "../../crates/pyyaml/tests/reference/meaning.rs"]
mod meaning;
#[allow(dead_code)]
#[path = "../../crates/pyyaml/tests/reference/process.rs"]
mod process;

use std::cell::RefCell;

use process::PyYaml;

thread_local! {
    /// One Python for all inputs.
    static PYYAML: RefCell<PyYaml> = RefCell::new(PyYaml::start());
}

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let texts = [text.to_owned()];
    let theirs = PYYAML.with_borrow_mut(|pyyaml| pyyaml.load(&texts));
    if let Err(difference) = meaning::compare(text, &theirs[0]) {
        panic!("{difference}");
    }
}
