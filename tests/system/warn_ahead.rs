//! `warn at`: the manager warns of a message that will probably be late, from forecasts that a process of its own makes.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};
use nowcast::store::Journal;
use nowcast::store::forecast_file::StoredForecast;
use nowcast_core::expected::Expected;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Change, Number, Record};
use rustix::process::Signal;

use crate::support::servers::Server;
use crate::support::system::{System, system};

/// A system with a broker that expects a message in half an hour. Nothing will send it.
fn expecting(sections: &str) -> System {
    let now = ZonedDateTime::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let by = now.checked_add(SignedDuration::from_mins(30)).expect("a moment").strftime("%H:%M");
    let mut system = system()
        .section(&format!(
            "{sections}
expect: [{{worker: keyless, by: '{by}', timezone: UTC, warn at: 50%}}]"
        ))
        .prepare();
    // Such messages have been noticed for three days, and two days ago one came.
    let expected = Expected {
        worker: "keyless".to_owned(),
        r#type: "success".to_owned(),
        observed_since: now.checked_sub(3.days()).expect("a moment").timestamp(),
        observed_since_steady: None,
        last_received: Some(now.checked_sub(2.days()).expect("a moment").timestamp()),
        last_received_steady: None,
        evaluated_until: now.timestamp(),
        late: None,
        late_cycle: None,
        at_risk: Vec::new(),
    };
    let changes = vec![Change::Expected(expected)];
    let record = Record { number: Number(1), at: now, event: RecordedEvent::Due, changes };
    Journal::open(&system.path("checklist.journal")).expect("a journal").commit(&[record]).expect("kept");
    system.start_broker();
    system
}

/// Wait for a forecast that is later than a moment.
fn forecast_after(system: &System, moment: Timestamp) -> StoredForecast {
    system.wait_for("a forecast", || {
        let forecast = StoredForecast::read(&system.path("checklist.journal")).ok()?;
        (forecast.at > moment).then_some(forecast)
    })
}

/// Whether a process makes a forecast for the system.
fn is_forecasting(system: &System) -> bool {
    let folder = system.path("");
    let is_its = |process: &Path| {
        let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        let is_here = fs::read_link(process.join("cwd")).is_ok_and(|cwd| folder.starts_with(cwd));
        is_here && line.split('\0').nth(1) == Some("forecaster")
    };
    fs::read_dir("/proc").expect("processes").flatten().any(|process| is_its(&process.path()))
}

#[test]
fn a_message_that_will_be_late_is_warned_of_once_over_the_death_of_the_manager() {
    let server = Server::web();
    let mut system =
        expecting(&format!("notifications: {{t: {{url: '{}', alarms: [at risk]}}}}", server.url("/")));
    system.start_manager(&[]);
    system.wait_for_log("manager", "WARNING [manager] keyless: (success) is at risk: late at ");
    assert!(system.log("manager").contains("with a probability of 100 %; it is not known when it comes"));
    server.wait_for(1, || system.describe());
    let (status, text) = system.operation(&["status"]);
    assert!(status == Some(1) && text.contains("AT RISK"), "{text}");
    assert!(text.contains("no forecast; 100 % likely to be late"), "{text}");

    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    let killed = Timestamp::now();
    system.start_manager(&[]);
    let forecast = forecast_after(&system, killed);
    assert_eq!(forecast.expected[0].late, Some(100));
    // The manager has taken the forecast into account when it asks for the next one, or when a decision comes after it.
    system.works();
    system.wait_for("no attention", || (!system.operation(&["status"]).1.contains("AT RISK")).then_some(()));
    assert_eq!(system.log("manager").matches("is at risk").count(), 1, "{}", system.describe());
    assert_eq!(server.bodies().len(), 1, "{:?}", server.bodies());
}

#[test]
fn a_forecast_that_fails_delays_and_changes_nothing() {
    for point in nowcast::failpoint::FORECASTER {
        let mut system = expecting("");
        system.set_env("FAILPOINTS", &format!("{point}=return"));
        system.start_manager(&[]);
        system.wait_for_log(
            "manager",
            "WARNING [manager] expected messages cannot be forecast, so nothing is warned of ahead (`warn at`): ",
        );
        system.works();
        assert!(!system.log("manager").contains("at risk"), "{point}: {}", system.describe());
        assert!(StoredForecast::read(&system.path("checklist.journal")).is_err(), "{point}");
        assert!(!system.operation(&["status"]).1.contains("EXPECTED"), "{point}");
    }
}

#[test]
fn a_forecast_that_hangs_ends_with_its_manager() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut system = expecting("");
        system.set_env("FAILPOINTS", "forecaster: made=sleep(600000)");
        system.start_manager(&[]);
        system.wait_for("a forecast that hangs", || is_forecasting(&system).then_some(()));
        system.works();
        system.signal("manager", signal);
        system.wait_for_end("manager");
        system.wait_for("its end", || (!is_forecasting(&system)).then_some(()));
    }
}
