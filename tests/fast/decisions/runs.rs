//! Runs: which message reports for which, what is made of a silent end, and when one is tried again.

use nowcast_core::record::{Outcome, Speaker};
use nowcast_core::run::{Stage, StopReason};
use nowcast_core::{Change, Command, Ending, NextWorker, Number};

use crate::decisions::story::{Story, configured, launch, nothing, quiet, seconds, story, worker};

/// A manager in which two runs of `weather` are open, the older first.
fn two_runs() -> (Story, [Number; 2]) {
    let mut manager = quiet("{}");
    let runs = [manager.wants(worker("weather")), manager.wants(worker("weather"))];
    (manager, runs)
}

#[test]
fn a_message_reports_for_the_run_that_it_names() {
    let (mut manager, [older, newer]) = two_runs();
    assert_eq!(manager.hears_of(newer, "weather", "success").messages()[0].run, Some(newer));
    assert!(manager.state.runs[&older].report.is_none());
    assert!(manager.state.runs[&newer].report.is_some());
}

#[test]
fn a_message_without_a_run_reports_for_the_oldest_that_has_not_been_reported_for() {
    let (mut manager, [older, newer]) = two_runs();
    let other = manager.wants(worker("rivers"));
    assert_eq!(manager.hears("weather", "success", "null").messages()[0].run, Some(older));
    assert_eq!(manager.hears("weather", "success", "null").messages()[0].run, Some(newer));
    assert_eq!(manager.hears("weather", "success", "null").messages()[0].run, None);
    assert!(manager.state.runs[&other].report.is_none());
}

#[test]
fn a_message_without_a_run_reports_for_the_run_whose_arguments_are_in_it() {
    for (r#type, payload, reporting) in [
        // In the type, as SalishSeaCast's workers have it; a longer word is another one.
        ("success nowcast-green", "null", 1),
        ("success nowcast", "null", 0),
        // In a value, a key, a date and a path of the payload.
        ("success", "{nowcast-green: {host: arbutus}}", 1),
        ("success", "{run date: 2026-03-15}", 2),
        ("success", "{log: /results/forecast2/2026-03-15/stdout}", 2),
        ("success", "[2026-03-14, nowcast]", 0),
        // The most arguments, and the oldest of equals.
        ("success forecast2", "2026-03-14", 0),
        ("success", "{hosts: [forecast2, nowcast], run date: 2026-03-14}", 0),
        ("success", "null", 0),
        // The value of an option, and an argument with spaces.
        ("success", "{depth: 40 m}", 3),
        ("success", "{area: 'the strait, north of 49'}", 3),
        ("success", "{area: 'strait, northern part'}", 0),
        ("success", "{text: it is forecast2.}", 2),
    ] {
        let mut manager = quiet("{}");
        let launched =
            |args: &[&str]| NextWorker::new("feeds", args.iter().map(|arg| (*arg).to_owned()).collect());
        let runs = [
            manager.wants(launched(&["nowcast", "--run-date", "2026-03-14"])),
            manager.wants(launched(&["nowcast-green", "--run-date", "2026-03-14"])),
            manager.wants(launched(&["forecast2", "--run-date", "2026-03-15"])),
            manager.wants(launched(&["--depth=40", "strait, north"])),
        ];
        let heard = manager.hears("feeds", r#type, payload);
        assert_eq!(heard.messages()[0].run, Some(runs[reporting]), "{type} {payload}");
    }
}

#[test]
fn a_run_that_has_sent_a_message_before_its_report_is_still_found() {
    let mut manager = quiet("{}");
    let launched = |day: &str| NextWorker::new("feeds", vec![day.to_owned()]);
    let runs = [manager.wants(launched("2026-03-14")), manager.wants(launched("2026-03-15"))];
    assert_eq!(manager.hears("feeds", "halfway", "2026-03-14").messages()[0].run, Some(runs[0]));
    assert_eq!(manager.hears("feeds", "success", "2026-03-14").messages()[0].run, Some(runs[0]));
    assert_eq!(
        manager.hears("feeds", "success", "2026-03-14").messages()[0].run,
        Some(runs[1]),
        "the last open one"
    );
}

#[test]
fn only_the_beginning_of_a_payload_is_searched() {
    let mut manager = quiet("{}");
    let launched = |day: &str| NextWorker::new("feeds", vec![day.to_owned()]);
    let runs = [manager.wants(launched("2026-03-14")), manager.wants(launched("-15"))];
    let payload = format!("{{long: {}, day: 2026-03-14, hour: -15}}", "x".repeat(100_000));
    assert_eq!(manager.hears("feeds", "halfway", &payload).messages()[0].run, Some(runs[0]), "the oldest");
    assert_eq!(manager.hears("feeds", "success", "{hour: -15}").messages()[0].run, Some(runs[1]));
}

#[test]
fn workers_that_name_no_run_and_report_in_any_order_are_distinguished() {
    let mut manager = quiet("{}");
    let days: Vec<String> = (10..30).map(|day| format!("2026-03-{day}")).collect();
    let wants = |day: &String| NextWorker::new("weather", vec!["--run-date".into(), day.clone()]);
    let runs: Vec<Number> = days.iter().map(|day| manager.wants(wants(day))).collect();
    for at in (0..days.len()).rev().step_by(2).chain((0..days.len()).step_by(2)) {
        let heard = manager.hears("weather", "success", &format!("{{date: {}}}", days[at]));
        assert_eq!(heard.messages()[0].run, Some(runs[at]), "{}", days[at]);
    }
}

#[test]
fn a_run_of_another_worker_is_not_meant() {
    let (mut manager, [older, _]) = two_runs();
    let rivers = manager.wants(worker("rivers"));
    // It was started by that run, and has its name in the environment.
    assert_eq!(manager.hears_of(rivers, "weather", "success").messages()[0].run, Some(older));
    assert!(manager.state.runs[&rivers].report.is_none());
}

#[test]
fn a_message_of_a_run_that_is_closed_is_decided_and_masks_no_other() {
    let mut manager = story(|_, _| Ok(launch(&["upload"])));
    let run = manager.wants(worker("weather"));
    manager.hears_of(run, "weather", "success");
    manager.ends(run, Ending::Status(0));
    let other = manager.wants(worker("weather"));
    let heard = manager.hears_of(run, "weather", "success");
    assert_eq!((heard.messages()[0].run, heard.launched.len()), (None, 1));
    assert!(manager.state.runs[&other].report.is_none());
}

#[test]
fn a_run_that_waits_has_nothing_to_report() {
    let mut manager = quiet("{}");
    manager.holds(nowcast_core::hold::HoldTarget::All);
    let run = manager.wants(worker("weather"));
    assert_eq!(manager.hears("weather", "success", "null").messages()[0].run, None);
    assert_eq!(manager.hears_of(run, "weather", "success").messages()[0].run, None);
    assert!(manager.state.runs[&run].report.is_none());
}

#[test]
fn a_run_is_closed_once_it_has_reported_and_ended_in_either_order() {
    let (mut manager, [first, second]) = two_runs();
    manager.hears_of(first, "weather", "success");
    assert!(manager.state.runs.contains_key(&first));
    manager.ends(first, Ending::Status(0));
    assert!(!manager.state.runs.contains_key(&first));
    manager.ends(second, Ending::Status(0));
    assert!(manager.state.runs.contains_key(&second));
    manager.hears_of(second, "weather", "success");
    assert!(!manager.state.runs.contains_key(&second));
    assert!(manager.passes(60).records.is_empty());
}

#[test]
fn an_end_is_heard_once() {
    let (mut manager, [first, _]) = two_runs();
    assert_eq!(manager.ends(first, Ending::Status(1)).records.len(), 1);
    assert!(manager.ends(first, Ending::Status(1)).records.is_empty());
    assert!(manager.ends(Number(77), Ending::Status(1)).records.is_empty());
}

#[test]
fn a_silent_end_is_a_crash_two_seconds_later_and_once() {
    let mut manager = story(|_, _| Ok(launch(&["upload"])));
    let run = manager.wants(worker("weather"));
    manager.ends(run, Ending::Status(0));
    assert!(manager.passes(1).records.is_empty());
    let heard = manager.passes(1);
    let [record] = heard.messages()[..] else { panic!("one message: {heard:#?}") };
    assert_eq!((record.run, record.speaker, &record.outcome), (Some(run), Speaker::Manager, &Outcome::Ruled));
    assert_eq!(manager.called(), ["weather crash"]);
    assert!(heard.says("CRITICAL", "the manager reports a crash for it"));
    assert_eq!(heard.launched, ["upload"]);
    assert!(!manager.state.runs.contains_key(&run));
    assert!(manager.passes(60).messages().is_empty());
}

#[test]
fn a_report_within_the_two_seconds_is_in_time() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.ends(run, Ending::Status(0));
    manager.passes(1);
    manager.hears("weather", "success", "null");
    assert!(manager.passes(60).records.is_empty());
    assert_eq!(manager.called(), ["weather success"]);
}

#[test]
fn a_report_after_the_crash_is_still_decided() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.ends(run, Ending::Status(0));
    manager.passes(5);
    let heard = manager.hears_of(run, "weather", "success");
    assert_eq!((heard.messages()[0].run, &heard.messages()[0].outcome), (None, &Outcome::Ruled));
    assert_eq!(manager.called(), ["weather crash", "weather success"]);
}

#[test]
fn a_worker_with_debug_may_exit_without_a_report() {
    let mut manager = quiet("{}");
    let mut silent = worker("weather");
    silent.args = vec!["12".into(), "--debug".into()];
    let run = manager.wants(silent);
    manager.ends(run, Ending::Status(1));
    assert!(manager.state.runs.is_empty());
    assert!(manager.passes(60).records.is_empty());
}

#[test]
fn need_and_clearing_are_no_report() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.hears_of(run, "weather", "need");
    manager.hears_of(run, "weather", "clear checklist");
    manager.ends(run, Ending::Status(0));
    assert_eq!(manager.passes(2).messages().len(), 1);
}

#[test]
fn a_refused_message_is_no_report() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.hears_of(run, "weather", "sucess");
    manager.ends(run, Ending::Status(0));
    manager.passes(2);
    assert_eq!(manager.called(), ["weather crash"]);
}

#[test]
fn a_crash_that_the_registry_refuses_is_made_once_too() {
    for name in ["stranger", "mute"] {
        let mut manager = quiet("{}");
        let run = manager.wants(worker(name));
        manager.ends(run, Ending::Status(0));
        let heard = manager.passes(60);
        let [record] = heard.messages()[..] else { panic!("one message: {heard:#?}") };
        assert!(matches!(record.outcome, Outcome::Refused(_)));
        assert_eq!(record.run, Some(run));
        assert!(manager.state.is_idle());
        assert!(manager.called().is_empty());
    }
}

#[test]
fn a_launch_that_fails_is_said_and_its_rule_hears_of_it() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("upload"));
    let heard = manager.ends(run, Ending::NotStarted("no such program".into()));
    let text = "could not launch NextWorker(module='nowcast.workers.upload', args=[], host='localhost'): no such program";
    assert!(heard.says("CRITICAL", text));
    assert!(!manager.state.is_idle(), "its rule is still to hear of it");
    manager.passes(2);
    assert_eq!(manager.called(), ["upload crash"]);
    assert!(manager.state.is_idle());
}

const RETRIES: &str = "{weather: {retries: 2, retry delay: 10m}}";

#[test]
fn a_failed_run_is_retried_and_its_rule_called_after_the_last_attempt() {
    let mut manager = configured(RETRIES, |_, _| Ok(launch(&["upload"])));
    let mut run = manager.wants(worker("weather"));
    for attempt in [2, 3] {
        let heard = manager.hears_of(run, "weather", "failure 06");
        let Outcome::Retried(next) = heard.messages()[0].outcome else { panic!("{heard:#?}") };
        assert_eq!(heard.reply(), "ack");
        assert!(heard.launched.is_empty());
        assert!(heard.says("WARNING", &format!("attempt {attempt} of 3 follows in 10m")));
        let retry = &manager.state.runs[&next];
        assert_eq!((retry.attempt, retry.retry_of), (attempt, Some(run)));
        manager.ends(run, Ending::Status(0));
        assert!(manager.passes(599).launched.is_empty());
        assert_eq!(manager.passes(1).runs, [next]);
        run = next;
    }
    assert!(manager.called().is_empty());
    let heard = manager.hears_of(run, "weather", "failure 06");
    assert_eq!((&heard.messages()[0].outcome, heard.launched.len()), (&Outcome::Ruled, 1));
    assert_eq!(manager.called(), ["weather failure 06"]);
}

#[test]
fn each_retry_may_wait_longer_than_the_one_before_it() {
    let mut manager =
        configured("{weather: {retries: 4, retry delay: '1m, x3, up to 5m'}}", |_, _| Ok(nothing()));
    let mut run = manager.wants(worker("weather"));
    for delay in [60, 180, 300, 300] {
        manager.hears_of(run, "weather", "failure");
        manager.ends(run, Ending::Status(1));
        assert!(manager.passes(delay - 1).launched.is_empty(), "{delay}");
        let runs = manager.passes(1).runs;
        run = runs[0];
    }
}

#[test]
fn an_exit_without_a_report_is_retried_too() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    manager.ends(run, Ending::Killed(9));
    let heard = manager.passes(2);
    assert_eq!(heard.launched, ["weather"]);
    assert!(matches!(heard.messages()[0].outcome, Outcome::Retried(_)));
    manager.ends(heard.run(), Ending::Killed(9));
    manager.passes(2);
    assert_eq!(manager.called(), ["weather crash"]);
    assert!(manager.state.is_idle());
}

#[test]
fn a_success_is_not_retried() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    assert_eq!(manager.hears_of(run, "weather", "success").messages()[0].outcome, Outcome::Ruled);
}

#[test]
fn a_failure_without_a_run_is_not_retried() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    assert_eq!(manager.hears("weather", "failure", "null").messages()[0].outcome, Outcome::Ruled);
}

#[test]
fn what_a_rule_says_of_a_launch_goes_before_the_configuration() {
    let mut manager = configured(RETRIES, |_, _| Ok(nothing()));
    let mut once = worker("weather");
    once.options.retries = Some(0);
    let run = manager.wants(once);
    assert_eq!(manager.hears_of(run, "weather", "crash").messages()[0].outcome, Outcome::Ruled);
    manager.ends(run, Ending::Status(1));
    let mut at_once = worker("weather");
    at_once.options.retry_delay = Some(seconds(0));
    let run = manager.wants(at_once);
    manager.hears_of(run, "weather", "crash");
    assert_eq!(manager.ends(run, Ending::Status(1)).launched, ["weather"]);
}

#[test]
fn a_retry_waits_until_the_run_before_has_ended() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    assert!(manager.hears_of(run, "weather", "failure").launched.is_empty());
    assert!(manager.passes(3_600).launched.is_empty());
    assert_eq!(manager.ends(run, Ending::Status(0)).launched, ["weather"]);
}

#[test]
fn a_run_killed_by_an_operator_is_not_retried() {
    let mut manager = configured("{weather: {retries: 1}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    let (_, heard) = manager.asks(Command::Kill { run });
    assert_eq!(heard.stop_requested, [run]);
    assert_eq!(manager.state.runs[&run].stop_requested, Some(StopReason::Killed("ana".into())));
    manager.ends(run, Ending::Status(0));
    assert!(manager.passes(2).launched.is_empty());
    assert_eq!(manager.called(), ["weather crash"]);
}

#[test]
fn a_run_that_exceeds_its_timeout_is_stopped_once_and_retried() {
    let mut manager = configured("{weather: {retries: 1, timeout: 1h}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    assert!(manager.passes(3_599).stop_requested.is_empty());
    let heard = manager.passes(1);
    assert_eq!(heard.stop_requested, [run]);
    assert!(heard.says("CRITICAL", "exceeded its timeout"));
    assert!(manager.passes(7_200).stop_requested.is_empty());
    manager.ends(run, Ending::Status(0));
    assert_eq!(manager.passes(2).launched, ["weather"]);
}

#[test]
fn a_stopping_run_that_reports_success_has_succeeded() {
    let mut manager = configured("{weather: {retries: 1, timeout: 1h}}", |_, _| Ok(launch(&["upload"])));
    let run = manager.wants(worker("weather"));
    manager.passes(3_600);
    let heard = manager.hears_of(run, "weather", "success");
    assert_eq!((&heard.messages()[0].outcome, heard.launched.len()), (&Outcome::Ruled, 1));
    manager.ends(run, Ending::Killed(15));
    assert!(manager.passes(10).messages().is_empty());
}

#[test]
fn a_rule_may_give_more_or_less_time_than_the_configuration() {
    let mut manager = configured("{weather: {timeout: 1h}}", |_, _| Ok(nothing()));
    let mut quick = worker("weather");
    quick.options.timeout = Some(seconds(60));
    let run = manager.wants(quick);
    assert_eq!(manager.passes(60).stop_requested, [run]);
}

#[test]
fn no_more_run_than_may_and_the_others_follow_in_order() {
    let mut manager = configured("{upload: {max running: 2}}", |_, _| Ok(launch(&["upload"; 4])));
    let heard = manager.hears("weather", "success", "null");
    assert_eq!(heard.launched, ["upload"; 2]);
    let waiting: Vec<Number> = manager.state.runs.keys().skip(2).copied().collect();
    manager.hears("upload", "success", "null");
    let [first, second] = heard.runs[..] else { panic!("two") };
    manager.rules(|_, _| Ok(nothing()));
    // It has reported, but its process is still there.
    assert!(manager.passes(60).launched.is_empty());
    assert_eq!(manager.ends(second, Ending::Status(0)).runs, [waiting[0]]);
    assert_eq!(manager.ends(first, Ending::Status(0)).runs, [waiting[1]]);
}

#[test]
fn a_run_keeps_its_folder_from_launch_to_end() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    let folder = format!("2026-03-14/{}", run.0);
    assert_eq!(manager.state.runs[&run].folder(), Some(folder.as_str()));
    manager.ends(run, Ending::Status(0));
    assert_eq!(manager.state.runs[&run].folder(), Some(folder.as_str()));
    assert!(matches!(&manager.state.runs[&run].stage, Stage::Ended { launched: Some(_), .. }));
}

#[test]
fn a_limit_counts_the_runs_on_all_hosts_and_the_oldest_go_first() {
    let mut manager = configured("{weather: {max running: 2}}", |_, _| Ok(nothing()));
    let hold = manager.holds(nowcast_core::hold::HoldTarget::All);
    let runs = ["localhost", "robot.nibi", "robot.nibi", "localhost", "localhost"].map(|host| {
        let mut worker = worker("weather");
        worker.host = host.to_owned();
        manager.wants(worker)
    });
    let other = manager.wants(worker("rivers"));
    let released = manager.asks(Command::Release { number: hold }).1.runs;
    assert_eq!(released, [runs[0], runs[1], other]);
    assert_eq!(manager.ends(runs[1], Ending::Status(0)).runs, [runs[2]]);
    assert_eq!(manager.ends(runs[0], Ending::Status(0)).runs, [runs[3]]);
}

#[test]
fn a_retry_that_waits_for_an_end_keeps_no_other_back() {
    let mut manager = configured("{weather: {retries: 1, max running: 2}}", |_, _| Ok(nothing()));
    let run = manager.wants(worker("weather"));
    manager.hears_of(run, "weather", "failure");
    let hold = manager.holds(nowcast_core::hold::HoldTarget::All);
    let other = manager.wants(worker("weather"));
    assert_eq!(manager.asks(Command::Release { number: hold }).1.runs, [other]);
    assert_eq!(manager.ends(run, Ending::Status(1)).runs.len(), 1);
}

#[test]
fn on_a_host_that_gives_no_status_the_report_says_how_it_went() {
    let gone = || Ending::OnHost("contact was lost, and it is not there any more".to_owned());
    let has_succeeded = |heard: &crate::decisions::story::Heard, id: Number| {
        let mut changes = heard.records.iter().flat_map(|record| &record.changes).rev();
        changes.find_map(|change| match change {
            Change::Run(run) if run.id == id => Some(run.has_succeeded()),
            _ => None,
        })
    };
    let (mut manager, [reported, failed]) = two_runs();
    let silent = manager.wants(worker("weather"));
    manager.hears_of(reported, "weather", "success");
    let heard = manager.ends(reported, gone());
    assert_eq!(has_succeeded(&heard, reported), Some(Some(true)));
    assert!(!manager.state.has_failures);
    manager.hears_of(failed, "weather", "failure");
    let heard = manager.ends(failed, gone());
    assert_eq!(has_succeeded(&heard, failed), Some(Some(false)));
    manager.ends(silent, gone());
    assert!(manager.state.has_failures);
    let heard = manager.passes(3);
    assert_eq!(heard.messages()[0].run, Some(silent));
    assert_eq!(has_succeeded(&heard, silent), Some(Some(false)));
}

#[test]
fn a_reported_failure_is_not_counted_again_at_the_exit() {
    for ending in [Ending::Status(3), Ending::NotStarted("no such program".to_owned())] {
        let mut manager = quiet("{}");
        let run = manager.wants(worker("weather"));
        manager.hears_of(run, "weather", "failure");
        let heard = manager.ends(run, ending.clone());
        assert!(!manager.state.has_failures && heard.says("WARNING", &ending.to_string()), "{:?}", heard.log);
        // A success followed by a bad end is.
        let run = manager.wants(worker("weather"));
        manager.hears_of(run, "weather", "success");
        manager.ends(run, ending);
        assert!(manager.state.has_failures);
    }
}

/// When a run ended as its record says, and how many seconds it ran.
fn end_of(manager: &Story, run: Number) -> (jiff::Timestamp, i64) {
    let run = &manager.state.runs[&run];
    let ran = run.duration(manager.present().steady).expect("it was launched");
    (run.exited().expect("it has ended"), ran.as_secs())
}

#[test]
fn a_run_that_ended_without_a_manager_ended_when_its_runner_noted_it() {
    let mut manager = quiet("{}");
    let run = manager.wants(worker("weather"));
    manager.passes(10);
    let end = manager.time();
    manager.sets_clock(7_200);
    manager.passes(3_600);
    manager.ended(run, Ending::Status(0), &end);
    assert_eq!(end_of(&manager, run), (end.timestamp(), 10));
    // The report has its grace from now on: the message may have waited as long as the manager was away.
    assert_eq!(manager.state.runs[&run].end_learned_at(), Some(manager.present().time));
}

#[test]
fn a_noted_end_before_the_launch_or_in_the_future_is_not_believed() {
    let mut manager = quiet("{}");
    let before = manager.time();
    manager.passes(5);
    let runs = [manager.wants(worker("weather")), manager.wants(worker("rivers"))];
    manager.passes(10);
    let mut future = manager.time();
    future.boot_time.as_mut().expect("both clocks").uptime += jiff::SignedDuration::from_secs(20);
    for (run, noted) in runs.into_iter().zip([before, future]) {
        manager.ended(run, Ending::Status(0), &noted);
        assert_eq!(end_of(&manager, run), (manager.time().timestamp(), 10));
    }
}
