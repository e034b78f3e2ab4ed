//! How many messages of a journal are put through edited rules in a second: `cargo bench --bench replay`.
//!
//! `cargo bench --bench replay -- 50000` makes a journal of so many messages instead of 200,000. Prints one line for
//! the journal read alone and one for the whole replay.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use jiff::{SignedDuration, ZonedDateTime};
use nowcast::config::{self, Config};
use nowcast::rules::{Engine, RuleSet};
use nowcast::store::{History, Journal};
use nowcast::trial::replay::{ReplayOptions, replay};
use nowcast_core::message::Message;
use nowcast_core::record::{MessageRecord, Outcome, RecordedEvent, Speaker};
use nowcast_core::{Change, Number, Record, Ticket};
use pyyaml::Value;

/// As many rules as a production system has.
const WORKERS: u64 = 41;

fn main() {
    // `cargo test --benches` only wants to know that it builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let many = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let config = configuration(folder.path());
    let engine = RuleSet::of(&config).load(None).expect("the rules load");
    let edited = |text: String| {
        let file = folder.path().join("next_workers.lua");
        std::fs::write(&file, text).expect("written");
        RuleSet::of(&config).load(Some(&file)).expect("the edited rules load")
    };
    let one = edited(rules().replacen("'2.5km'", "'1.5km'", 1));
    let all = edited(rules().replace("'2.5km'", "'1.5km'"));
    fill(&config, &engine, many);

    let history = History::open(&config.journal.folder).expect("readable");
    let mut count = 0;
    let start = Instant::now();
    history
        .calls(None, None, &mut |_, _| {
            count += 1;
            Ok(())
        })
        .expect("readable");
    print("the journal read, the checklist folded", count, start);

    for (what, rules, differ) in [
        ("one rule of 41 edited", &one, many / WORKERS),
        ("every rule edited, so that every message differs", &all, many),
        ("the same rules, called once", &engine, 0),
    ] {
        let start = Instant::now();
        let report =
            replay(&history, &config, rules, &ReplayOptions::default(), &|_, _| {}).expect("readable");
        print(what, report.summary.messages, start);
        assert!(report.summary.differ.abs_diff(differ) <= 1);
        // The journal that is measured has messages and no runs.
        assert_eq!(report.summary.not_reproducible, report.summary.messages);
    }
}

fn print(what: &str, count: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    // A count of messages is far below the numbers that a float cannot hold.
    #[allow(clippy::cast_precision_loss)]
    let rate = count as f64 / seconds;
    println!("{what}: {count} messages in {seconds:.2} s, {rate:.0}/s");
}

fn rules() -> String {
    let mut text = String::new();
    for worker in 0..WORKERS {
        let next = (worker + 1) % WORKERS;
        let _ = write!(
            text,
            "
function after_worker_{worker}(msg, config, checklist)
  local launches = {{}}
  if msg.type == 'success' then
    local date = need(checklist, 'key {worker}', 'run date')
    add(launches, worker('worker_{next}', '12', '2.5km', '--run-date', date))
    for host in pairs(config.run['enabled hosts']) do
      add(launches, worker_on(host, 'worker_{next}', '06'))
    end
  end
  return launches
end
"
        );
    }
    text
}

fn configuration(folder: &Path) -> Config {
    let mut text = format!(
        "checklist file: {}/checklist.yaml
python: python3
logging: {{version: 1, root: {{level: INFO, handlers: []}}}}
zmq: {{host: localhost, ports: {{manager: 4343, workers: 4344}}}}
run: {{enabled hosts: {{arbutus: {{envvars: e, python: p, config file: c}}}}}}
message registry:
  manager: {{ack: acknowledged}}
  next workers module: next_workers
  workers package: nowcast.workers
  workers:
",
        folder.display()
    );
    for worker in 0..WORKERS {
        let _ = writeln!(
            text,
            "    worker_{worker}: {{checklist key: 'key {worker}', success: well, crash: crashed}}"
        );
    }
    let file = folder.join("nowcast.yaml");
    std::fs::write(&file, text).expect("written");
    std::fs::create_dir(folder.join("rules")).expect("a folder");
    std::fs::write(folder.join("rules/next_workers.lua"), rules()).expect("written");
    config::load(&file).expect("a configuration").0
}

fn fill(config: &Config, engine: &Engine, many: u64) {
    let mut journal = Journal::open(&config.journal.folder).expect("a journal");
    let start = ZonedDateTime::now();
    let hash = engine.hash().to_owned();
    let rules = Change::Rules(1, hash.clone(), engine.files());
    let event = RecordedEvent::RulesLoaded { generation: 1, hash };
    let mut batch = vec![Record { number: Number(1), at: start.clone(), event, changes: vec![rules] }];
    let names: Vec<(String, Value)> = (0..60)
        .map(|file| (format!("file {file:04}"), format!("/results/2026/{file:08}.nc").into()))
        .collect();
    for number in 2..=many + 1 {
        let worker = number % WORKERS;
        let mut payload = vec![("run date".to_owned(), Value::from("2026-03-14"))];
        payload.push(names[usize::try_from(number % 60).unwrap_or_default()].clone());
        let payload: Value = payload.into_iter().collect();
        let mut message = Message::new(format!("worker_{worker}"), "success", payload);
        message.id = Some(format!("0190{number:028x}"));
        let at = &start + SignedDuration::from_secs(i64::try_from(number).unwrap_or_default());
        let changes = vec![Change::PayloadMerged { key: format!("key {worker}").into() }];
        let event = RecordedEvent::Message(Box::new(MessageRecord {
            ticket: Some(Ticket { epoch: 7, number }),
            body: message.encode().into_bytes(),
            message: Some(message),
            speaker: Speaker::Worker,
            run: None,
            outcome: Outcome::Ruled,
            generation: 1,
            rule_location: Some("next_workers.lua:12".into()),
            join_request: None,
            keys_read: vec![format!("key {worker}: run date")],
            reply: "ack".into(),
            reply_payload: Value::Null,
        }));
        batch.push(Record { number: Number(number), at, event, changes });
        if batch.len() >= 1_000 || number == many + 1 {
            journal.commit(&batch).expect("kept");
            batch.clear();
        }
    }
}
