//! The documentation does what it says: every code block of README.md, docs/ and CONTRIBUTING.md is tested.
//!
//! The info string of a block says how:
//!
//! | info string | test |
//! |---|---|
//! | `lua` | rules: `nowcast rules check` finds nothing, and each message type is tried |
//! | `lua launches` | launches, one a line, that a rule returns |
//! | `lua test` | a file of tests for the rules of `examples/forecast`, which pass |
//! | `yaml` | a part of `nowcast.yaml`: merged into `tests/docs/nowcast.yaml`, it passes `nowcast config check` |
//! | `json` | each line is JSON |
//! | `json eval` | a case for `nowcast rules eval`, and the answer to it |
//! | `sh` | a shell script whose `nowcast` commands exist, with their options |
//! | `ini` | Supervisor's configuration whose `nowcast` commands exist |
//! | `python` | the function of a worker, which the tests of `python/` run |
//! | `text` | not tested: what a program prints, or a drawing |

mod blocks;
mod commands;
mod configuration;
mod rules;

const KINDS: [&str; 10] =
    ["lua", "lua launches", "lua test", "yaml", "json", "json eval", "sh", "ini", "python", "text"];

#[test]
fn every_block_names_its_test() {
    for block in blocks::blocks() {
        assert!(
            KINDS.contains(&block.info.as_str()),
            "{block} has an unknown info string; use one of {}",
            KINDS.join(", ")
        );
    }
}
