//! Rules with many problems, also all of them on one line.

use serde_json::Value;

use super::{OTHERS, check};
use crate::support::system::system;

#[test]
fn a_line_of_thousands_of_problems_shows_the_first_of_them_with_the_part_around_each() {
    let names = (0..5_000).map(|number| format!("unknown_{number}")).collect::<Vec<_>>().join(", ");
    let rules = format!("{OTHERS}function after_sleep(msg) local t = {{ {names} }} return {{}} end\n");
    let system = system().only_rules(&rules).prepare();
    let (status, text) = check(&system, &["--json"]);
    assert_eq!(status, 1);
    // Each problem with the whole line would take 350 MB.
    assert!(text.len() < 500_000, "{}", text.len());
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let problems = report["problems"].as_array().expect("a list");
    let unknown: Vec<&Value> = problems.iter().filter(|problem| problem["kind"] == "unknown name").collect();
    assert_eq!(unknown.len(), 200);
    assert!(unknown[199]["source"].as_str().expect("a part").contains("unknown_199"), "{}", unknown[199]);
    assert!(text.contains("there are more problems with names than these 200"), "{text}");
    let (_, page) = check(&system, &[]);
    let marked = "^".repeat("unknown_199".len());
    assert!(page.lines().any(|line| line.ends_with(&marked)), "{page}");
    assert!(page.lines().all(|line| line.chars().count() < 250), "{page}");
}

#[test]
fn thousands_of_type_tests_and_functions_show_the_first_of_each() {
    let repeated =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<Vec<_>>().concat();
    let tests = repeated(14_000, &|number| format!("if msg.type == 'unknown {number}' then end\n"));
    let functions = repeated(15_000, &|number| format!("function after_nobody_{number}() end\n"));
    let rules = format!("{OTHERS}function after_sleep(msg)\n{tests}return {{}} end\n{functions}");
    let system = system().only_rules(&rules).prepare();
    let (_, text) = check(&system, &["--json"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let problems = report["problems"].as_array().expect("a list");
    let count = |kind: &str| problems.iter().filter(|problem| problem["kind"] == kind).count();
    assert_eq!((count("unknown message type"), count("function without a worker")), (200, 200));
    for with in ["message types", "functions"] {
        assert!(text.contains(&format!("there are more problems with {with} than these 200")), "{with}");
    }
}
