//! The options of a launch: time, timeout, retries, environment.

use jiff::{SignedDuration, Timestamp};
use nowcast_core::{Cycle, CycleOption, LaunchOptions};

use super::*;

fn options(written: &str) -> LaunchOptions {
    let answer = Nowcast::rule(&format!("return {{ NextWorker('a', {{}}, {{ {written} }}) }}")).answer();
    answer.next_workers[0].options.clone()
}

fn at(written: &str) -> String {
    options(&format!("at = {written}")).at.expect("a moment").to_string()
}

/// The same at another time.
fn at_of(now: &str, written: &str) -> String {
    let nowcast = Nowcast::rule(&format!("return {{ NextWorker('a', {{}}, {{ at = {written} }}) }}"));
    let message = Message::new("sleep", "success", Value::Null);
    let call = nowcast.engine.call_after(&RuleInput {
        message: &message,
        config: &Value::Null,
        checklist: &Value::Null,
        cycles: None,
        now: &now.parse().unwrap(),
    });
    let worker = call.result.unwrap_or_else(|error| panic!("{error}")).next_workers.remove(0);
    worker.options.at.expect("a moment").to_string()
}

#[test]
fn all_of_them_are_read() {
    let expected = LaunchOptions {
        delay: Some(SignedDuration::from_mins(90)),
        at: Some("2026-03-14T13:00:00Z".parse::<Timestamp>().unwrap()),
        timeout: Some(SignedDuration::from_hours(3)),
        retries: Some(3),
        retry_delay: Some(SignedDuration::from_secs(90)),
        env: vec![("A".into(), "7".into()), ("OMP_NUM_THREADS".into(), "4".into())],
        cycle: Some(CycleOption::Label(Cycle::parse("2026-03-14T06").unwrap())),
    };
    let written = "delay = '1h 30m', at = '06:00', timeout = '3h', retries = 3, retry_delay = 90, \
                   env = { OMP_NUM_THREADS = '4', A = 7 }, cycle = '2026-03-14T06'";
    assert_eq!(options(written), expected);
    assert_eq!(options(""), LaunchOptions::default());
    assert_eq!(options("delay = 0, retries = 0, env = {}").retries, Some(0));
    assert_eq!(options("delay = 2 * 1800 / 60").delay, Some(SignedDuration::from_secs(60)));
}

#[test]
fn with_gives_another_launch_with_other_options() {
    let nowcast = Nowcast::rule(
        "local first = worker_on('nibi', 'a', '--debug')
        local second = first:with{ delay = '10m' }
        return { first, second, second:with{ retries = 2, host = 'orcinus' } }",
    );
    let launches = nowcast.answer().next_workers;
    let mut expected = worker("a", &["--debug"]);
    expected.host = "nibi".into();
    assert_eq!(launches[0], expected);
    expected.options.delay = Some(SignedDuration::from_mins(10));
    assert_eq!(launches[1], expected);
    expected.options.retries = Some(2);
    expected.host = "orcinus".into();
    assert_eq!(launches[2], expected);
}

#[test]
fn a_configuration_s_table_will_do() {
    let nowcast = Nowcast::rule("return { worker('a'):with(checklist.options) }").checklist(map([(
        "options",
        map([("retries", Value::Int(2)), ("env", map([("A", Value::from("b"))]))]),
    )]));
    let options = nowcast.answer().next_workers[0].options.clone();
    assert_eq!((options.retries, options.env), (Some(2), vec![("A".to_owned(), "b".to_owned())]));
}

#[test]
fn at_is_a_date_object_or_text() {
    // It is 05:15:30 on 14 March in Vancouver, seven hours west.
    assert_eq!(at("now():shift{ hours = 2 }"), "2026-03-14T14:15:30Z");
    assert_eq!(at("date('2026-03-15T06:00:00')"), "2026-03-15T13:00:00Z");
    assert_eq!(at("date('2026-03-15')"), "2026-03-15T07:00:00Z");
    assert_eq!(at("date('2026-03-15T06:00:00+02:00')"), "2026-03-15T04:00:00Z");
    assert_eq!(at("'2026-03-14 05:15'"), "2026-03-14T12:15:00Z");
    assert_eq!(at("'2026-03-14T05:15:20'"), "2026-03-14T12:15:20Z");
    assert_eq!(at("'2026-03-14T05:15:00-03:30'"), "2026-03-14T08:45:00Z");
    assert_eq!(at("'2026-03-14T05:15:00Z'"), "2026-03-14T05:15:00Z");
    assert_eq!(at("'05:16'"), "2026-03-14T12:16:00Z");
    assert_eq!(at("'05:15:31'"), "2026-03-14T12:15:31Z");
    assert_eq!(at("'05:15'"), "2026-03-15T12:15:00Z", "that is over for today");
    assert_eq!(at("'05:15:30'"), "2026-03-15T12:15:30Z", "now is not next");
    assert_eq!(at("'00:00'"), "2026-03-15T07:00:00Z");
}

#[test]
fn a_time_of_day_that_the_clock_leaves_out_or_shows_twice() {
    // 8 March: 02:00 becomes 03:00. 1 November: 02:00 becomes 01:00.
    let before_gap = "2026-03-08T01:00:00-08:00[America/Vancouver]";
    assert_eq!(at_of(before_gap, "'02:30'"), "2026-03-08T10:30:00Z");
    assert_eq!(at_of(before_gap, "'2026-03-08 02:30'"), "2026-03-08T10:30:00Z");
    let before_repeat = "2026-11-01T00:30:00-07:00[America/Vancouver]";
    assert_eq!(at_of(before_repeat, "'01:30'"), "2026-11-01T08:30:00Z");
    let between = "2026-11-01T01:45:00-07:00[America/Vancouver]";
    assert_eq!(at_of(between, "'01:30'"), "2026-11-02T09:30:00Z");
}

#[test]
fn a_wrong_value_is_reported_with_an_example() {
    let span = "write a span of time, as in \"10m\" or \"1h 30m\", or a whole number of seconds";
    let at = "write a time of day as \"05:15\", a date and time as \"2026-03-14 05:15\", or a date object, as in \
              now():shift{ hours = 2 }";
    let retries = "write a whole number from 0 to 1000";
    let table = "write a table of names and values, as in { NAME = \"value\" }";
    let cases = [
        ("delay = 'soon'", format!("the option delay is the text \"soon\"; {span}")),
        ("delay = -1", format!("the option delay is the number -1; {span}")),
        ("delay = 1.5", format!("the option delay is the number 1.5; {span}")),
        ("delay = 0/0", format!("the option delay is the number NaN; {span}").replace("NaN", "NaN")),
        ("delay = '2 years'", format!("the option delay is the text \"2 years\"; {span}")),
        ("delay = '-5m'", format!("the option delay is the text \"-5m\"; {span}")),
        ("delay = ('1'):rep(1000)", format!("the option delay is text; {span}")),
        ("timeout = {}", format!("the option timeout is a table; {span}")),
        ("timeout = 0", "the option timeout is the number 0; a timeout must be longer than nothing".into()),
        (
            "retry_delay = math.maxinteger",
            "the option retry_delay is the number 9223372036854775807; more than ten years are a mistake".into(),
        ),
        ("retry_delay = true", format!("the option retry_delay is true; {span}")),
        ("at = 5", format!("the option at is the number 5; {at}")),
        ("at = 'noon'", format!("the option at is the text \"noon\"; {at}")),
        ("at = '24:30'", format!("the option at is the text \"24:30\"; {at}")),
        ("at = '2026-02-30 05:15'", format!("the option at is the text \"2026-02-30 05:15\"; {at}")),
        ("at = NextWorker('a')", format!("the option at is a NextWorker; {at}")),
        ("at = checklist", format!("the option at is a table; {at}")),
        ("retries = -1", format!("the option retries is the number -1; {retries}")),
        ("retries = 1001", format!("the option retries is the number 1001; {retries}")),
        ("retries = 1e300", format!("the option retries is the number 1e300; {retries}")),
        ("retries = '3'", format!("the option retries is the text \"3\"; {retries}")),
        ("env = 'A=b'", format!("the option env is the text \"A=b\"; {table}")),
        ("env = { 'A=b' }", format!("the option env has the number 1 as the name of a variable; {table}")),
        (
            "env = { ['A=b'] = 'c' }",
            "the option env has the text \"A=b\" as the name of a variable; a name is not empty and has neither = \
             nor a zero byte"
                .into(),
        ),
        (
            "env = { [''] = 'c' }",
            "the option env has the text \"\" as the name of a variable; a name is not empty and has neither = nor \
             a zero byte"
                .into(),
        ),
        (
            "env = { B = 1.5, A = true }",
            "the option env: the variable \"A\" is true; write text or an integer".into(),
        ),
        (
            "env = { A = 'x\\0' }",
            "the option env: the variable \"A\" is the text \"x\\0\"; no variable can hold a zero byte".into(),
        ),
        ("dealy = '10m'", "there is no option \"dealy\"; did you mean `delay`?".into()),
        ("host = ''", "the host is empty".into()),
    ];
    for (written, expected) in cases {
        let nowcast =
            Nowcast::rule(&format!("-- a line\nreturn {{ NextWorker('a', {{}}, {{ {written} }}) }}"));
        assert_eq!(nowcast.reason(), format!("NextWorker: {expected}"), "{written}");
        assert!(nowcast.error().starts_with("next_workers.lua:4: "), "{}", nowcast.error());
        let nowcast = Nowcast::rule(&format!("return {{ worker('a'):with{{ {written} }} }}"));
        assert_eq!(nowcast.reason(), format!("with: {expected}"), "{written}");
    }
    assert_eq!(
        reason("return { worker('a', 'b', { delay = '10m' }) }"),
        "worker: argument 2 after the worker's name is a table; options go behind the call, as in \
         worker(…):with{ delay = \"10m\" }"
    );
    assert_eq!(
        reason("worker('a').with{ delay = 1 }"),
        "with: write a colon, as in worker(\"name\"):with{ delay = \"10m\" }"
    );
    assert_eq!(
        reason("worker('a'):with()"),
        "with: the options must be a table, as in { host = \"…\" }, got nil"
    );
}

#[test]
fn before_there_is_a_message_a_local_time_means_nothing() {
    let options = EngineOptions::default();
    let error = load("NextWorker('a', {}, { at = '05:15' })", &options).unwrap_err();
    assert!(error.to_string().contains("the option at needs a message"), "{error}");
    assert!(load("NextWorker('a', {}, { at = '2026-03-14 05:15' })", &options).is_err());
    assert!(load("NextWorker('a', {}, { at = '2026-03-14T05:15:00Z' })", &options).is_ok());
}

#[test]
fn options_can_be_read() {
    assert_eq!(
        print(
            "(function(w) return w.delay, w.timeout, w.retries, w.retry_delay, w.env.A, w.host end)(NextWorker('a', {}, { delay = '10m', retries = 2, env = { A = 'b' } }))"
        ),
        "600 nil 2 nil b localhost"
    );
    assert_eq!(print("worker('a'):with{ at = '06:00' }.at == date('2026-03-14T06:00:00-07:00')"), "true");
    assert_eq!(print("worker('a').at, worker('a').env"), "nil nil");
    assert_eq!(
        reason("return worker('a').dealy"),
        "a NextWorker has no \"dealy\"; it has module, args, host, delay, at, timeout, retries, retry_delay, env, cycle and with"
    );
    assert_eq!(
        reason("worker('a').delay = 1"),
        "a NextWorker cannot be changed; launch:with{ delay = \"10m\" } gives another one"
    );
    assert_eq!(
        print("worker('a', 'b'):with{ delay = 1 }"),
        "NextWorker(module='a', args=['b'], host='localhost')"
    );
}

#[test]
fn a_cycle_is_text_a_whole_number_or_a_date_and_false_is_none() {
    for (written, shown) in [
        ("'2026-03-14T06'", "2026-03-14T06"),
        ("12", "12"),
        ("date('2026-03-14')", "2026-03-14"),
        ("false", "none"),
    ] {
        assert_eq!(options(&format!("cycle = {written}")).cycle.expect("it says one").to_string(), shown);
    }
    assert_eq!(
        print(
            "worker('a'):with{ cycle = 12 }.cycle, worker('a'):with{ cycle = false }.cycle, worker('a').cycle"
        ),
        "12 false nil"
    );
    for wrong in ["true", "''", "'a b'", "1.5", "{}", "string.rep('x', 65)"] {
        let reason = reason(&format!("worker('a'):with{{ cycle = {wrong} }}"));
        assert!(
            reason.contains("the option cycle is ") && reason.contains("write a label of 1 to 64 letters"),
            "{reason}"
        );
    }
}

#[test]
fn launches_are_equal_whatever_made_them() {
    assert_eq!(print("worker('a', 1) ==\nNextWorker('a', { '1' })"), "true");
    assert_eq!(print("worker('a'):with{ delay = 60 } == worker('a'):with{ delay = '1m' }"), "true");
    assert_eq!(print("worker('a'):with{ delay = 60 } == worker('a')"), "false");
    assert_eq!(print("worker('a') == worker_on('nibi', 'a'), worker('a') == 5"), "false false");
}

#[test]
fn a_metatable_of_the_options_is_not_asked() {
    let nowcast = Nowcast::rule(
        "local endless = function() while true do end end
        local meta = { __index = endless, __pairs = endless, __len = endless }
        local opts = setmetatable({ retries = 1, env = setmetatable({ A = 'b' }, meta) }, meta)
        return { NextWorker('a', setmetatable({ 'x' }, meta), opts) }",
    );
    let launch = nowcast.answer().next_workers.remove(0);
    assert_eq!((launch.args, launch.options.retries), (vec!["x".to_owned()], Some(1)));
    hostile::expect_failure(
        "local t = {} for i = 1, 20000 do t['x' .. i] = 1 end NextWorker('a', {}, t)",
        "NextWorker: the table of options has more than 10000 items",
    );
    hostile::expect_failure(
        "local t = {} for i = 1, 1001 do t['x' .. i] = 1 end NextWorker('a', {}, { env = t })",
        "the option env has more than 1000 variables",
    );
    hostile::expect_failure(
        "NextWorker('a', {}, { [('x'):rep(1000000)] = 1 })",
        "NextWorker: there is no option \"xxx",
    );
    hostile::expect_failure("need({ [('x'):rep(500000)] = 1 }, ('y'):rep(500000))", "need: there is no key");
}

/// On November 1st 01:15 comes twice in Vancouver: an hour later it is 01:15 again.
#[test]
fn an_hour_later_is_later_where_the_hour_comes_twice() {
    assert_eq!(
        at_of("2026-11-01T01:15-07:00[America/Vancouver]", "now():shift{ hours = 1 }"),
        "2026-11-01T09:15:00Z"
    );
}
