//! Notifications: each message once, and everything that needs an operator.

use jiff::ZonedDateTime;
use nowcast_core::Alarm;
use nowcast_core::message::Message;
use nowcast_core::{Command, Effect, Ending, Event, Notice};
use pyyaml::Value;

use crate::decisions::story::{Heard, Story, configured, failed, join, launch, nothing, quiet, worker};

const WITH_TARGET: &str =
    "{weather: {timeout: 1m}}\nnotifications: {t: {url: 'http://localhost/', alarms: all}}";

fn notices(heard: &Heard) -> Vec<&Notice> {
    let notice = |effect: &'_ Effect| matches!(effect, Effect::Notify(_));
    heard
        .others
        .iter()
        .filter(|effect| notice(effect))
        .map(|effect| match effect {
            Effect::Notify(notice) => &**notice,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn only(heard: &Heard) -> (Option<Alarm>, &str, &str) {
    let [notice] = notices(heard)[..] else { panic!("one notice: {heard:#?}") };
    (notice.alarm, &notice.worker, &notice.text)
}

fn with_target() -> Story {
    quiet(WITH_TARGET)
}

#[test]
fn a_notification_of_a_message_has_its_payload_and_number() {
    let mut manager = with_target();
    let heard = manager.hears("rivers", "success", "{a: 1}");
    let [notice] = notices(&heard)[..] else { panic!("{heard:#?}") };
    let said = notice.message.as_ref().expect("a message");
    assert_eq!((notice.alarm, &*notice.worker, &*notice.text), (None, "rivers", "rivers: success"));
    assert_eq!((&*said.r#type, said.payload.get("a")), ("success", Some(&Value::from(1))));
    assert_eq!(notice.number, heard.records[0].number);
    assert_eq!(only(&manager.hears("rivers", "failure", "null")).0, Some(Alarm::Failure));
    assert_eq!(only(&manager.hears("weather", "failure 06", "null")).0, Some(Alarm::Failure));
    assert_eq!(only(&manager.hears("rivers", "crash", "null")).0, Some(Alarm::Crash));
}

#[test]
fn a_message_that_reaches_no_rule_causes_no_notification() {
    let mut manager = with_target();
    for (source, r#type) in
        [("stranger", "success"), ("rivers", "sucess"), ("weather", "need"), ("weather", "clear checklist")]
    {
        assert!(notices(&manager.hears(source, r#type, "null")).is_empty(), "{source} {type}");
    }
}

#[test]
fn without_targets_there_are_no_notifications() {
    let mut manager = quiet("{}");
    assert!(notices(&manager.hears("rivers", "crash", "null")).is_empty());
}

#[test]
fn an_exit_without_a_report_causes_one_notification_with_the_exit() {
    let mut manager = with_target();
    let run = manager.wants(worker("rivers"));
    manager.ends(run, Ending::Killed(9));
    let heard = manager.passes(2);
    let text = format!("rivers: crash (run {run}), which was killed by signal 9");
    assert_eq!(only(&heard), (Some(Alarm::Crash), "rivers", &*text));
    // Also of a worker whose registry knows no crash.
    let run = manager.wants(worker("mute"));
    manager.ends(run, Ending::Status(1));
    let text = format!("mute: crash (run {run}), which exited with status 1");
    assert_eq!(only(&manager.passes(2)), (Some(Alarm::Crash), "mute", &*text));
}

#[test]
fn whatever_is_critical_is_an_alarm() {
    let mut manager = configured(WITH_TARGET, |message: &Message, _| match message.source.as_str() {
        "weather" => Err(failed()),
        "rivers" => Ok(join(&["upload"], &["rivers", "ssh"])),
        _ => Ok(nothing()),
    });
    let alarms = |heard: &Heard| notices(heard).iter().filter_map(|notice| notice.alarm).collect::<Vec<_>>();
    assert_eq!(alarms(&manager.hears("weather", "success", "null")), [Alarm::Parked]);
    manager.hears("rivers", "success", "null");
    assert_eq!(
        alarms(&manager.hears("rivers", "success", "null")),
        [Alarm::Parked],
        "its join was opened again"
    );
    let run = manager.wants(worker("weather"));
    assert_eq!(alarms(&manager.passes(60)), [Alarm::Timeout]);
    manager.ends(run, Ending::Status(0));
    let run = manager.wants(worker("ssh"));
    assert_eq!(alarms(&manager.ends(run, Ending::NotStarted("no such file".into()))), [Alarm::NotLaunched]);
    manager.passes(60);
    let refused = Event::RulesRefused { reason: "next_workers.lua:7: no".into() };
    assert_eq!(
        only(&manager.happens(refused)),
        (Some(Alarm::RefusedRules), "", "changed rules are refused: next_workers.lua:7: no")
    );
    let unwritten = Event::ChecklistNotWritten { reason: "no space".into() };
    assert_eq!(only(&manager.happens(unwritten)).0, Some(Alarm::ManagerFailure));
}

#[test]
fn an_overdue_join_and_a_late_message_cause_notifications() {
    let with_target = format!(
        "{WITH_TARGET}\nexpect: [{{worker: ssh, by: '05:00', since: '04:30', timezone: America/Vancouver}}]"
    );
    let mut manager = configured(&with_target, |message: &Message, _| {
        let mut answer = launch(&[]);
        if message.source == "rivers" {
            answer = join(&["upload"], &["ssh"]);
            answer.join.as_mut().expect("a join").timeout = Some(crate::decisions::story::seconds(10));
        }
        Ok(answer)
    });
    manager.happens(Event::Due);
    manager.hears("rivers", "success", "null");
    assert_eq!(only(&manager.passes(10)).0, Some(Alarm::OverdueJoin));
    let heard = manager.passes(3_600);
    let (alarm, worker, text) = only(&heard);
    assert_eq!((alarm, worker), (Some(Alarm::Late), "ssh"));
    assert!(text.starts_with("ssh: (success) is late: it was expected by 2026-03-14 05:00"), "{text}");
}

#[test]
fn a_slack_channel_without_its_variable_is_said_where_nemo_nowcast_says_it() {
    let mut manager = quiet("{}\nslack notifications: {SLACK_NOPE: [ssh], website log url: http://x.ca/log}");
    let heard = manager.hears("rivers", "success", "{a: 1}");
    let line = "DEBUG slack notification environment variable not found: SLACK_NOPE";
    let place = heard.log.iter().position(|logged| logged == line).expect("the line");
    assert!(heard.log[place - 1].contains("checklist updated with [rivers]"), "{heard:#?}");
    assert_eq!(notices(&heard).len(), 1);
    let now: &ZonedDateTime = &notices(&heard)[0].at;
    assert_eq!(now, &manager.now);
}

/// The scheduler does not wait for a reply.
#[test]
fn a_refused_scheduled_launch_causes_a_notification() {
    let mut manager = with_target();
    let due = manager.now.timestamp();
    let mut ask = |host: &str| {
        let mut worker = worker("weather");
        host.clone_into(&mut worker.host);
        manager.asks(Command::LaunchScheduled {
            item: "weather (every day at 05:15)".to_owned(),
            due,
            worker,
        })
    };
    let (answer, heard) = ask("nowhere");
    assert!(!answer.done);
    let (alarm, worker, text) = only(&heard);
    assert_eq!((alarm, worker), (Some(Alarm::NotLaunched), "weather"));
    assert!(text.starts_with("weather (every day at 05:15) is not launched, scheduled for "), "{text}");
    // The time is not used up.
    let (answer, heard) = ask("localhost");
    assert!(answer.done && answer.numbers.len() == 1, "{answer:?}");
    assert!(notices(&heard).is_empty());
    let (answer, _) = ask("localhost");
    assert!(answer.done && answer.numbers.is_empty(), "{answer:?}");
}
