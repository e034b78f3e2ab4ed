//! `warn at`: the manager warns of a message that will probably be late, from forecasts that a process of its own makes.

use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};
use nowcast::store::forecast_file::StoredForecast;
use rustix::process::Signal;

use crate::support::past::{Past, success_after};
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
    // A run has sent one on each of the last two days.
    let day = |days: i64| now.checked_sub(days.days()).expect("a moment");
    let text = |moment: ZonedDateTime| moment.strftime("%Y-%m-%dT%H:%M:%S[UTC]").to_string();
    let mut past = Past::new(&system, &text(day(3)));
    for days in [2, 1] {
        past.launch(&text(day(days)), "keyless", &[], None);
    }
    past.live(&text(now), &mut |_| Some(success_after(1.0)));
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

#[test]
fn a_message_that_will_be_late_is_warned_of_once_over_the_death_of_the_manager() {
    let server = Server::web();
    let mut system =
        expecting(&format!("notifications: {{t: {{url: '{}', alarms: [at risk]}}}}", server.url("/")));
    system.start_manager(&[]);
    system.wait_for_log("manager", "WARNING [manager] keyless: (success) is at risk: late at ");
    assert!(system.log("manager").contains("with a probability of 100 %; it is not expected to come"));
    server.wait_for(1, || system.describe());
    let (status, text) = system.operation(&["status"]);
    assert!(status == Some(1) && text.contains("AT RISK"), "{text}");
    assert!(text.contains("not expected to come; 100 % likely to be late"), "{text}");

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

#[cfg(feature = "failpoints")]
mod failpoints {
    use std::fs;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;

    use jiff::Timestamp;
    use nowcast::store::History;
    use nowcast::store::forecast_file::StoredForecast;
    use rustix::process::Signal;

    use super::{expecting, forecast_after};
    use crate::lost::failpoints::start_failing_manager;
    use crate::support::system::System;

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

    /// Replies and log lines follow the commit, so a manager that dies between them has recorded the warning without a line in its log.
    #[test]
    fn a_manager_that_dies_while_it_warns_has_recorded_the_warning_or_leaves_it_to_the_next_one() {
        for (point, lines) in [("decided", 1), ("committed", 0), ("kept", 0)] {
            let mut system = expecting("");
            // The first batch says which rules are in force.
            start_failing_manager(&mut system, &format!("manager: {point}=1*off->return"));
            let status = system.wait_for_end("manager");
            assert_eq!(status.signal(), Some(9), "{point}: {status} {}", system.describe());
            let killed = Timestamp::now();
            system.start_manager(&[]);
            forecast_after(&system, killed);
            system
                .wait_for("attention", || system.operation(&["status"]).1.contains("AT RISK").then_some(()));
            let history = History::open(&system.path("checklist.journal")).expect("the journal");
            let expected = history.open_now().expect("what is open").expected;
            assert_eq!(expected.iter().map(|expected| expected.at_risk.len()).sum::<usize>(), 1, "{point}");
            assert_eq!(
                system.log("manager").matches("is at risk").count(),
                lines,
                "{point}: {}",
                system.describe()
            );
        }
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
}
