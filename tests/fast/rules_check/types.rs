//! Message types that rules compare with.

use super::{OTHERS, check, with_rules};

/// The warnings about message types, and the exit status, for these functions after `sleep` and `awaken`.
fn warnings(rules: &str) -> (i32, Vec<String>) {
    let (status, text) = check(&with_rules(&format!("{rules}\n{OTHERS}")).prepare(), &["--no-run"]);
    let warnings = text.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect();
    (status, warnings)
}

#[test]
fn a_misspelt_type_is_pointed_at() {
    let rules = format!(
        "function after_sleep(msg)\n  if msg.type == \"sucess\" then return {{ worker('awaken') }} end\n  \
         local t = msg.type\n  return t:match('^fail$') and {{}} or {{}}\nend\nfunction after_awaken() return {{}} end\n{OTHERS}"
    );
    let (status, text) = check(&with_rules(&rules).prepare(), &["--no-run"]);
    let expected = r#"warning: `sleep` sends no message of type `sucess` to this rule
 --> rules/next_workers.lua:2:18
2 |   if msg.type == "sucess" then return { worker('awaken') } end
  |                  ^^^^^^^^
  = did you mean `success`?

warning: no message type of `sleep` matches `^fail$`
 --> rules/next_workers.lua:4:18
4 |   return t:match('^fail$') and {} or {}
  |                  ^^^^^^^^
  = it has success, failure, crash

"#;
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(status, 0, "{text}");
}

#[test]
fn types_of_the_worker_and_of_helpers_draw_no_warning() {
    let rules = "local function failed(msg) return msg.type == 'failure' or msg.type == 'no data' end
        function after_sleep(msg)
          if msg.type == 'success' or 'crash' ~= msg.type or failed(msg) then return {} end
          if msg.type:find('^fail') or msg.type:startswith('succ', 'cra') then return {} end
          return ({ success = {}, failure = {} })[msg.type] or {}
        end
        function after_awaken(msg) return failed(msg) and {} or {} end";
    assert_eq!(warnings(rules), (0, Vec::new()));
}

#[test]
fn a_function_that_serves_other_workers_is_left_out() {
    let rules = "function after_sleep(msg) return msg.type == 'snored' and {} or {} end
        after_awaken = after_sleep";
    assert_eq!(warnings(rules), (0, Vec::new()));
}

#[test]
fn a_type_that_the_manager_answers_reaches_no_rule() {
    let rules = "function after_sleep(msg) return {} end function after_awaken(msg) return msg.type == 'need' and {} or {} end";
    let expected = "warning: `awaken` sends no message of type `need` to this rule";
    assert_eq!(warnings(rules), (0, vec![expected.to_owned()]));
}

#[test]
fn last_is_asked_for_workers_and_types_that_exist() {
    let rules = "function after_sleep(msg)
        local a, b = last('awaken', 'success'), last(msg.source, 'x')
        return { worker('awaken', last('awakn', 'success').payload, last('awaken', 'sucess', msg.cycle)) }
        end
        function after_awaken(msg)
          local last = function() end
          return last('nobody', 'x') or {}
        end";
    let expected = [
        "warning: `last` finds no message of `awakn`, which is not registered",
        "warning: `last` finds no message of type `sucess`, which `awaken` does not send",
    ];
    assert_eq!(warnings(rules), (0, expected.map(str::to_owned).to_vec()));
}
