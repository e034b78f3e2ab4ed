//! `expect:` over the death of managers.

use jiff::{SignedDuration, ToSpan, ZonedDateTime};
use nowcast::store::Journal;
use nowcast_core::expected::Expected;
use nowcast_core::record::RecordedEvent;
use nowcast_core::{Change, Number, Record};
use rustix::process::Signal;

use crate::support::servers::Server;
use crate::support::system::system;

#[test]
fn a_late_message_is_reported_once_over_the_death_of_the_manager() {
    let server = Server::web();
    let now = ZonedDateTime::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let by = now.checked_sub(SignedDuration::from_mins(1)).expect("a moment");
    let mut system = system()
        .section(&format!(
            "notifications: {{t: {{url: '{}', alarms: [late]}}}}
expect: [{{worker: keyless, by: '{}', timezone: UTC}}]",
            server.url("/"),
            by.strftime("%H:%M")
        ))
        .prepare();
    // Such messages have been noticed for three days, and yesterday one came.
    let observed_since = now.checked_sub(3.days()).expect("a moment").timestamp();
    let evaluated_until = by.checked_sub(1.day()).expect("a moment").timestamp();
    let (worker, r#type, late) = ("keyless".to_owned(), "success".to_owned(), None);
    let expected = Expected {
        worker,
        r#type,
        observed_since,
        observed_since_steady: None,
        last_received: Some(observed_since),
        last_received_steady: None,
        evaluated_until,
        late,
        late_cycle: None,
        at_risk: Vec::new(),
    };
    let changes = vec![Change::Expected(expected)];
    let record = Record { number: Number(1), at: now, event: RecordedEvent::Due, changes };
    Journal::open(&system.path("checklist.journal")).expect("a journal").commit(&[record]).expect("kept");
    system.start_broker();
    system.start_manager(&[]);
    system.wait_for_log("manager", "CRITICAL [manager] keyless: (success) is late: it was expected by ");
    server.wait_for(1, || system.describe());
    let (status, text) = system.operation(&["status"]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("LATE") && text.contains("keyless (success)") && text.contains("expected by "),
        "{text}"
    );
    system.signal("manager", Signal::KILL);
    system.wait_for_end("manager");
    system.start_manager(&[]);
    system.signal("manager", Signal::HUP);
    // Launched when everything that is due was evaluated_until.
    system.operate(&["launch", "--delay", "1s", "awaken"]);
    system.wait_for_log("manager", "launching NextWorker");
    assert_eq!(system.log("manager").matches("is late").count(), 1, "{}", system.describe());
    system.works();
    system.wait_for_log("manager", "INFO [manager] keyless: (success) was expected by ");
    system.wait_for("no attention", || (!system.operation(&["status"]).1.contains("LATE")).then_some(()));
    assert_eq!(server.bodies().len(), 1, "{:?}", server.bodies());
    assert!(server.bodies()[0].contains("keyless: (success) is late"));
}
