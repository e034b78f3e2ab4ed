//! What the text alone tells.

use super::{OTHERS, check, with_rules};
use crate::support::system::system;

#[test]
fn names_that_are_not_there_are_pointed_at() {
    let rules = format!(
        r#"local helpers = require("helpers")
function after_sleep(msg, config, checklist)
	if msg.type == "crash" then return {{ NextWokrer("awaken", {{ "é", None }}) }} end
  log.inform("slept") local stem = path["nam"](msg.type)
  return {{}}
end
function after_awaken(msg) local n <const> = 1 goto done ::done:: return helpers.list(msg, n // 1) end
{OTHERS}"#
    );
    let system =
        with_rules(&rules).file("rules/helpers.lua", "return { list = function() return pritn end }");
    let (status, text) = check(&system.prepare(), &["--no-run"]);
    let expected = r#"error: there is no name `NextWokrer`
 --> rules/next_workers.lua:3:39
3 |     if msg.type == "crash" then return { NextWokrer("awaken", { "é", None }) } end
  |                                          ^^^^^^^^^^
  = did you mean `NextWorker`?

error: there is no name `None`
 --> rules/next_workers.lua:3:67
3 |     if msg.type == "crash" then return { NextWokrer("awaken", { "é", None }) } end
  |                                                                      ^^^^
  = Lua's word is `nil`

error: `log` has no `inform`
 --> rules/next_workers.lua:4:7
4 |   log.inform("slept") local stem = path["nam"](msg.type)
  |       ^^^^^^
  = did you mean `log.info`?

error: `path` has no `nam`
 --> rules/next_workers.lua:4:41
4 |   log.inform("slept") local stem = path["nam"](msg.type)
  |                                         ^^^
  = did you mean `path.name`?

error: there is no name `pritn`
 --> rules/helpers.lua:1:35
1 | return { list = function() return pritn end }
  |                                   ^^^^^
  = did you mean `print`?

5 rules, 14 message types, no calls: 5 errors, 0 warnings
"#;
    assert_eq!((status, text.as_str()), (1, expected));
}

#[test]
fn local_and_defined_names_are_known() {
    let rules = format!(
        r#"require("helpers")
LIMIT = 5
local function define() made_by_a_function = 1 end
define()
for _, name in ipairs{{ "sleep", "awaken" }} do
  _G["after_" .. name] = function(msg, ...)
    local first, second = ..., string.format("%s", LIMIT)
    local function again(count) if count > 0 then return again(count - 1) end return first end
    for key, value in pairs(msg) do first = key; second = value end
    for i = 1, 2 do second = i end
    repeat local done = true until done
    do local _ENV = {{ anything = 1 }}; second = anything end
    local object = {{}}
    function object:method() return self, helper(made_by_a_function) end
    return {{ again(1) and second and nil }}
  end
end
{OTHERS}"#
    );
    let system = with_rules(&rules).file("rules/helpers.lua", "function helper(value) return value end");
    let expected = "5 rules, 14 message types, no calls: 0 errors, 0 warnings\n";
    assert_eq!(check(&system.prepare(), &["--no-run"]), (0, expected.to_owned()));
}

#[test]
fn a_global_written_in_a_function_is_an_error() {
    let rules = format!(
        "count = 0\nfunction after_sleep()\n  count = count + 1\n  return {{}}\nend\n\
         function after_awaken() reslt = {{}} return reslt end\n{OTHERS}"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &["--no-run"]);
    let expected = r"error: the global `count` cannot be set while a rule runs
 --> rules/next_workers.lua:3:3
3 |   count = count + 1
  |   ^^^^^
  = write `local` before its first use, and keep what the next rule needs in the checklist

";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("error: the global `reslt` cannot be set"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn workers_and_functions_must_fit() {
    let rules = format!(
        "function after_slep() return {{}} end\nfunction after_awaken() return {{}} end\n{OTHERS}function after_unheard_of() end\n"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &[]);
    let expected = r"error: the registered worker `sleep` has no function `after_sleep`
--> rules/next_workers.lua
 = its messages, `success` for instance, would lead to nothing
 = is it `after_slep`, which belongs to no registered worker?

warning: `after_slep` is never called: no worker `slep` is registered
 --> rules/next_workers.lua:1:10
1 | function after_slep() return {} end
  |          ^^^^^^^^^^
  = did you mean `after_sleep`?

warning: `after_unheard_of` is never called: no worker `unheard_of` is registered
 --> rules/next_workers.lua:7:10
7 | function after_unheard_of() end
  |          ^^^^^^^^^^^^^^^^
  = add the worker under `message registry: workers:`, or remove the function

6 rules, 14 message types, 22 calls, 0 recorded messages: 1 error, 2 warnings
";
    assert_eq!((status, text.as_str()), (1, expected));
}

#[test]
fn the_exit_status_reports_the_health() {
    let good = system().prepare();
    assert_eq!(check(&good, &[]).0, 0);
    assert_eq!(check(&good, &["--strict"]).0, 0);
    let warned = system().rules("function after_nobody() end").prepare();
    assert_eq!(check(&warned, &[]).0, 0);
    assert_eq!(check(&warned, &["--strict"]).0, 1);
    warned.write_rules("function after_sleep(\nreturn return");
    assert_eq!(check(&warned, &[]).0, 1);
    assert_eq!(check(&warned, &["nowhere.yaml"]).0, 2);
    assert_eq!(check(&warned, &["--rules", "nowhere.lua"]).0, 2);
    std::fs::remove_file(warned.path("rules/next_workers.lua")).expect("removed");
    let (status, text) = check(&warned, &[]);
    assert_eq!(status, 2, "{text}");
    assert!(text.starts_with("cannot load the rules:\n"), "{text}");
}

#[test]
fn syntax_errors_of_all_files_are_pointed_at() {
    let rules = "local a, b = require('good'), require(\"bad\")\n-- require('unused')\nfunction after_sleep(msg)\n  return { worker('x') }}\nend\n";
    let system = with_rules(rules)
        .file("rules/good.lua", "return require 'worse'")
        .file("rules/bad.lua", "x = = 1")
        .file("rules/unused.lua", "x = = 1")
        .file("rules/worse.lua", "return { 'open }")
        .prepare();
    let (status, text) = check(&system, &[]);
    let expected = r"error: 'end' expected (to close 'function' at line 3) near '}'
 --> rules/next_workers.lua:4:25
4 |   return { worker('x') }}
  |                         ^
  = a manager refuses these rules and keeps those in force

error: syntax error near `=`: expected values to set to
 --> rules/bad.lua:1:3
1 | x = = 1
  |   ^

error: syntax error: unclosed string
 --> rules/worse.lua:1:10
1 | return { 'open }
  |          ^^^^^^^

0 rules, 14 message types, no calls: 3 errors, 0 warnings
";
    assert_eq!((status, text.as_str()), (1, expected));
    let output = system.command(&["rules", "check", "--json"]).output().expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let first = &report["problems"][0];
    assert_eq!(
        (&first["kind"], &first["line"], &first["column"]),
        (&"cannot be loaded".into(), &4.into(), &25.into())
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn rules_that_fail_while_they_are_loaded_are_shown_with_their_line() {
    let system = with_rules("local a = 1\nlocal b = requir('helpers')\n").prepare();
    let (status, text) = check(&system, &[]);
    let expected = r"error: attempt to call a nil value (global 'requir')
 --> rules/next_workers.lua:2:11
2 | local b = requir('helpers')
  |           ^^^^^^
  = did you mean `require`?
  = a manager refuses these rules and keeps those in force

0 rules, 14 message types, no calls: 1 error, 0 warnings
";
    assert_eq!((status, text.as_str()), (1, expected));
}

#[test]
fn edited_rules_are_checked_before_they_are_in_force() {
    let system =
        system().file("edited/mine.lua", "function after_sleep() return { wrker('x') } end").prepare();
    let (status, text) = check(&system, &["--rules", "edited/mine.lua", "--no-run"]);
    assert!(text.contains(" --> edited/mine.lua:1:33\n"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn programs_get_json() {
    let rules = format!(
        "function after_sleep() return {{ wrker('x') }} end\nfunction after_awaken() return {{}} end\n{OTHERS}"
    );
    let system = with_rules(&rules).prepare();
    let output = system.command(&["rules", "check", "--no-run", "--json"]).output().expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problem = serde_json::json!({
        "severity": "error",
        "kind": "unknown name",
        "file": "rules/next_workers.lua",
        "line": 1,
        "column": 33,
        "what": "there is no name `wrker`",
        "notes": ["did you mean `worker`?"],
        "source": "function after_sleep() return { wrker('x') } end",
    });
    let expected = serde_json::json!({
        "problems": [problem], "rules": 5, "message_types": 14, "calls": null, "recorded_messages": 0, "is_cut": false
    });
    assert_eq!(report, expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_text_that_nests_without_end_is_read() {
    let sum = vec!["1"; 500_000].join("+");
    let rules = format!(
        "function after_sleep() return {{ worker('awaken', {sum}) }} end\nfunction after_awaken() return nme end\n{OTHERS}"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &["--no-run"]);
    assert!(text.contains("there is no name `nme`"), "{text}");
    assert_eq!(status, 1);
}

#[test]
fn the_examples_have_no_errors() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    for (config, rules, closing) in [
        (
            "nowcast.yaml",
            "rules",
            "4 rules, 12 message types, 24 calls, 0 recorded messages: 0 errors, 0 warnings\n",
        ),
        ("examples/forecast/nowcast.yaml", "examples/forecast/rules", "0 recorded messages: 0 errors, "),
    ] {
        // A copy, beside which no system has run.
        let place = folder.path().join(config.replace('/', "-"));
        std::fs::create_dir(&place).expect("a folder");
        let to = place.join("rules");
        std::fs::create_dir(&to).expect("a folder");
        for file in std::fs::read_dir(root.join(rules)).expect("the rules") {
            let file = file.expect("a file");
            if file.path().is_file() {
                std::fs::copy(file.path(), to.join(file.file_name())).expect("copied");
            }
        }
        std::fs::copy(root.join(config), place.join("nowcast.yaml")).expect("copied");
        let mut command = std::process::Command::new(crate::support::system::NOWCAST);
        command.args(["rules", "check"]).current_dir(&place);
        command.env_remove("NOWCAST_YAML").env_remove("NOWCAST_LOGS").env_remove("NOWCAST_ENV");
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains(closing), "{config}: {text}");
        assert_eq!(output.status.code(), Some(0));
    }
}
