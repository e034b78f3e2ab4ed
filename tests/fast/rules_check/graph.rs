//! Who launches whom.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{OTHERS, with_rules};
use crate::support::system::System;

const RULES: &str = r#"
function after_sleep(msg, config, checklist)
  if msg.type == "success" then
    return { worker("awaken"), worker("keyless") }, Join{ name = 'the "end"', wait_for = { "awaken", keyless = 2 }, launch = { worker("rotate_logs") } }
  end
  return {}
end
function after_awaken(msg)
  if msg.payload and msg.payload.late then return { worker("unheard_of") } end
  return { worker("sleep") }
end
function after_keyless() return {} end
function after_clear_checklist(msg, config, checklist) return { worker("awaken", checklist.nothing.there) } end
function after_rotate_logs() return {} end
"#;

fn graph(system: &System, options: &[&str]) -> String {
    system.operate(&[&["rules", "graph"], options].concat())
}

#[test]
fn a_tree_shows_the_launches_of_rules() {
    let text = graph(&with_rules(RULES).prepare(), &[]);
    let expected = r#"clear_checklist
sleep
  awaken  after success
    sleep  after success, failure, crash  in join the "end"  ↑
  rotate_logs  after success  in join the "end"
  keyless  after success
join the "end": sleep opens it; it waits for awaken, 2 × keyless
the launches after clear_checklist (success, failure, crash) are not known: its rule fails in every case
"#;
    assert_eq!(text, expected);
}

#[test]
fn the_part_around_a_worker_has_its_causes_and_its_launches() {
    let rules = format!(
        "function after_sleep() return {{ worker('awaken'), worker('rotate_logs') }} end\n\
         function after_awaken() return {{ worker('keyless') }} end\n{OTHERS}\
         function after_keyless() return {{}}, Join{{ name = 'both', wait_for = {{ 'awaken' }} }} end\n"
    );
    let system = with_rules(&rules).prepare();
    let expected = "sleep\n  awaken  after success, failure, crash\n    keyless  after success, failure, crash  in join both\n\
                    join both: keyless opens it; it waits for awaken\n";
    assert_eq!(graph(&system, &["--worker", "awaken"]), expected);
    assert_eq!(graph(&system, &["--worker", "clear_checklist"]), "clear_checklist\n");
    let svg = dot(&graph(&system, &["--worker", "awaken", "--format", "dot"]));
    assert!(!svg.contains("rotate_logs") && svg.contains(">keyless<"), "{svg}");
    let output = system.command(&["rules", "graph", "--worker", "awakn"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        said,
        "no worker \"awakn\" is registered or launched by these rules; did you mean `awaken`?\n"
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_history_counts() {
    let rules = format!(
        "function after_sleep(msg)\n  if msg.payload and msg.payload.n == 1 then return {{ worker('keyless') }} end\n  return {{}}\nend\n\
         function after_awaken(msg) if msg.type == 'failure' then return {{ worker('sleep') }} end return {{}} end\n{OTHERS}"
    );
    let system = with_rules(&rules)
        .section("workers: {sleep: {command: ['true']}, keyless: {command: ['true']}, rotate_logs: {command: ['true']}}")
        .start();
    for _ in 0..2 {
        assert_eq!(system.send("sleep", "success", "{n: 1}"), "ack");
    }
    system.operate(&["launch", "rotate_logs"]);
    let text = graph(&system, &[]);
    assert!(text.contains("  keyless  after success  ×2\n"), "{text}");
    assert!(text.contains("  sleep  after failure  never happened\n"), "{text}");
    assert!(text.contains("rotate_logs  ×1 by hand\n"), "{text}");

    // Other rules: launches of the previous ones are only in the history.
    system.write_rules(&format!(
        "function after_sleep() return {{}} end\nfunction after_awaken() return {{}} end\n{OTHERS}"
    ));
    let text = graph(&system, &[]);
    assert!(text.contains("sleep\n  keyless  after success  ×2, only in the history\n"), "{text}");
    let text = graph(&system, &["--since", "2100-01-01"]);
    assert!(!text.contains("×2"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&graph(&system, &["--json"])).expect("JSON");
    let seen = serde_json::json!([{
        "from": "sleep", "to": "keyless", "types": {"success": {"by_rules": false, "runs": 2}}, "joins": []
    }]);
    assert_eq!(json["edges"], seen);
}

/// Rules with names that mean something to Graphviz and Mermaid.
fn odd_names() -> System {
    let rules = format!(
        r#"function after_sleep()
  return {{ NextWorker("<b>&amp;\\N\"]-->x{{}}|#`"), NextWorker("日本") }},
    Join{{ name = "\"; a -> b [\\", wait_for = {{ "awaken" }}, launch = {{ NextWorker("end") }} }}
end
function after_awaken() return {{ NextWorker("it's(odd)") }} end
function after_odd() return {{ worker("sleep") }} end
{OTHERS}"#
    );
    with_rules(&rules).worker(r#"odd: {"line\nbreak \"\\L": it, crash: it}"#).prepare()
}

#[test]
fn dot_draws_it_whatever_the_names_are() {
    let text = graph(&odd_names(), &["--format", "dot"]);
    let svg = dot(&text);
    assert!(svg.contains("&lt;b&gt;&amp;amp;\\N&quot;]&#45;&#45;&gt;x{}|#`"), "{text}\n{svg}");
    assert!(svg.contains(">日本<"), "{svg}");
    assert!(svg.contains(">&quot;; a &#45;&gt; b [\\<"), "{svg}");
    // sleep → two, sleep → join → end, awaken → join, awaken → join → the odd one, odd → sleep.
    assert_eq!(svg.matches("class=\"edge\"").count(), 8, "{text}");
}

/// What `dot` draws; it is installed where it is missing.
fn dot(text: &str) -> String {
    let is_there = || Command::new("dot").arg("-V").output().is_ok_and(|output| output.status.success());
    if !is_there() {
        for arguments in [&["update", "-q"][..], &["install", "-y", "-q", "graphviz"]] {
            let output = Command::new("apt-get").args(arguments).output().expect("apt-get runs");
            assert!(output.status.success(), "{output:?}");
        }
        assert!(is_there(), "graphviz is installed and dot does not run");
    }
    let mut command = Command::new("dot");
    command.arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("dot starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("dot ends");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}\n{text}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn mermaid_has_nothing_in_it_that_means_something() {
    let text = graph(&odd_names(), &["--format", "mermaid"]);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("flowchart LR"));
    let quoted = r#""(?:[\p{L}\p{N}_\- ×.,]|#\d+;)+""#;
    let line = format!(
        r"^  (?:w\d+\[{quoted}\]|j\d+\{{{quoted}\}}|[wj]\d+ (?:-->|-\.->)(?:\|{quoted}\|)? [wj]\d+)$"
    );
    let line = regex::Regex::new(&line).expect("a pattern");
    let mut count = 0;
    for drawn in lines {
        assert!(line.is_match(drawn), "{drawn:?} in\n{text}");
        count += 1;
    }
    // Six registered workers, four others, a join, eight arrows.
    assert_eq!(count, 19, "{text}");
    assert!(text.contains("[\"#60;b#62;#38;amp#59;#92;N#34;#93;--#62;x#123;#125;#124;#35;#96;\"]"), "{text}");
}
