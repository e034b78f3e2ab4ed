//! `nowcast.yaml`: every problem is an answer, and a checked configuration is usable.

use std::path::Path;
use std::sync::Arc;

use jiff::ZonedDateTime;
use nowcast::config::{self, Port};
use nowcast_core::checklist::Checklist;
use nowcast_core::{DecisionTime, Event, State, TimePoint, decide};

use super::system;

pub fn check(data: &[u8]) {
    // The files of this machine are no part of the input.
    if data.windows(7).any(|word| word == b"include") {
        return;
    }
    let lookup = |name: &str| (name != "UNSET").then(|| format!("/{name}"));
    match config::parse(Path::new("nowcast.yaml"), data, &lookup) {
        Err(error) => assert!(!error.problems.is_empty() && !error.to_string().is_empty()),
        Ok((config, problems)) => {
            assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
            let ports = [Port::Manager, Port::Workers, Port::Logging];
            assert!(ports.iter().all(|port| !config.bind_address(*port).is_empty()));
            assert!(config.open_ports().len() <= 2);
            let names = config.registry.workers.keys().map(String::as_str);
            for name in names.chain(["manager", "message_broker"]) {
                let addresses = [config.log_addresses_of_daemon(name), config.log_addresses_of_worker(name)];
                assert!(addresses.iter().flatten().all(|address| address.starts_with("tcp://")));
            }
            let now = system::begin();
            for worker in &config.scheduled {
                assert!(!worker.item().is_empty());
                assert!(
                    worker
                        .times
                        .after(&now.with_time_zone(worker.zone.clone()))
                        .is_none_or(|next| next > now)
                );
            }
            decide_due(config.policy().into(), &now);
        }
    }
}

/// What is expected of the configured workers becomes due, and nothing is due again at once.
fn decide_due(policy: Arc<nowcast_core::Policy>, now: &ZonedDateTime) {
    let mut state = State::new(policy, Checklist::default());
    let time = DecisionTime::from(now.clone());
    let rules = system::rules();
    decide(&mut state, Event::Due, &*rules, &time);
    let now = state.now(&time);
    let due = state.next_due(TimePoint::by_wall_clock(now.time.wall), now);
    assert!(due.is_none_or(|due| due > now.time.steady), "the manager would turn in circles at {due:?}");
}
