//! What a call of a rule costs, at any size of the checklist, and a look at the rules' files.
//!
//! `cargo bench --bench rules`. Prints the median of many rounds, in microseconds.

use std::hint::black_box;
use std::time::Instant;

use jiff::ZonedDateTime;
use nowcast::rules::{Engine, EngineOptions, Reloader, RuleSet};
use nowcast_core::message::Message;
use nowcast_core::{RuleInput, Rules};
use pyyaml::Value;

const RULES: &str = r#"
function after_empty()
  return {}
end

function after_typical(msg, config, checklist)
  local launches = {}
  if msg.type == "success 12" then
    local run = need(checklist, "NEMO run", "nowcast", "run date")
    for _, name in ipairs(checklist.names) do
      add(launches, worker("make_plots", name, "--run-date", run))
    end
    if config.host and msg.payload:startswith("2026") then
      add(launches, NextWorker("nowcast.workers.upload", { run, "00" }, { host = config.host }))
    end
  end
  return launches
end

function after_pattern(msg)
  return { worker("a", msg.payload:match("(%d+)-(%d+)-(%d+)")) }
end

function after_million(msg)
  local sum = 0
  for i = 1, 250000 do
    sum = sum + i
  end
  return {}
end
"#;

fn text(value: &str) -> Value {
    Value::from(value)
}

/// A checklist of about so many bytes.
fn checklist(bytes: usize) -> Value {
    let filler: Value = (0..bytes / 50)
        .map(|number| {
            (format!("file {number:08}"), Value::from(format!("/results/forecast/{number:010}.nc")))
        })
        .collect();
    let names = Value::from(vec![text("nowcast"), text("forecast"), text("forecast2")]);
    let run: Value = [("nowcast", [("run date", text("2026-03-14"))].into_iter().collect::<Value>())]
        .into_iter()
        .collect();
    [("files", filler), ("names", names), ("NEMO run", run)].into_iter().collect()
}

/// The median time of one call in microseconds.
fn median(mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..200)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..50 {
                call();
            }
            start.elapsed().as_secs_f64() * 1e6 / 50.0
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("next_workers.lua");
    std::fs::write(&path, RULES).expect("a file in it");
    let engine =
        Engine::load(&path, "next_workers", &EngineOptions::default()).expect("the rules above load");
    let config: Value = [("host", text("arbutus.cloud"))].into_iter().collect();
    let now = ZonedDateTime::now();
    for (size, bytes) in [("1 kB", 1_000), ("100 kB", 100_000), ("5 MB", 5_000_000)] {
        let checklist = checklist(bytes);
        for source in ["empty", "typical", "pattern"] {
            let message = Message::new(source, "success 12", text("2026-03-14"));
            let time = median(|| {
                let call = engine.call_after(&RuleInput {
                    message: &message,
                    config: &config,
                    checklist: &checklist,
                    cycles: None,
                    now: &now,
                });
                assert!(black_box(call).result.is_ok(), "the rule answers");
            });
            println!("after_{source:<8} checklist {size:>6}: {time:6.2} µs");
        }
    }
    let message = Message::new("million", "x", Value::Null);
    let start = Instant::now();
    let rounds = 100;
    for _ in 0..rounds {
        let call = engine.call_after(&RuleInput {
            message: &message,
            config: &config,
            checklist: &Value::Null,
            cycles: None,
            now: &now,
        });
        assert!(call.result.is_ok(), "the loop is within the limit");
    }
    println!(
        "500,000 instructions:              {:6.0} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    );

    let (mut reloader, _) = Reloader::start(
        RuleSet {
            config_file: path.with_file_name("nowcast.yaml"),
            module: "next_workers.lua".to_owned(),
            options: EngineOptions::default(),
            workers: vec!["sleep".to_owned()],
        },
        None,
    );
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(10);
    std::fs::File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(old))
        .expect("its time set");
    let _ = reloader.reload_if_changed();
    println!(
        "look at an unchanged file:         {:6.2} µs",
        median(|| drop(black_box(reloader.reload_if_changed())))
    );
    println!(
        "load the rules again:              {:6.0} µs",
        median(|| drop(black_box(Engine::load(&path, "next_workers", &EngineOptions::default()))))
    );
}
