//! The rules engine through its public interface: what rules see, what they may return, how their
//! errors read, and that no rule can do harm.

use std::path::PathBuf;
use std::time::Duration;

use jiff::ZonedDateTime;
use nowcast::core::{NextWorker, RuleAnswer, RuleCall, RuleError, Rules};
use nowcast::logging::Level;
use nowcast::message::Message;
use nowcast::rules::{Engine, Limits, LoadError, Options};
use nowcast::yaml::{self, DateTime, Map, Set, Value};

/// A rules file in a folder of its own, loaded.
struct Nowcast {
    _folder: tempfile::TempDir,
    engine: Engine,
    config: Value,
    checklist: Value,
    payload: Value,
}

fn limits() -> Limits {
    Limits {
        // Long enough for a slow machine that does something else; the hostile loops reach the
        // instruction limit first.
        time: Duration::from_secs(20),
        instructions: 3_000_000,
        memory: 24 << 20,
        text: 1 << 20,
        log_lines: 20,
        log_bytes: 10_000,
    }
}

fn load(rules: &str, options: &Options) -> Result<(tempfile::TempDir, Engine), LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("next_workers.lua");
    std::fs::write(&path, rules).unwrap();
    Engine::load(&path, "next_workers", options).map(|engine| (folder, engine))
}

fn now() -> ZonedDateTime {
    "2026-03-14T05:15:30-07:00[America/Vancouver]".parse().unwrap()
}

impl Nowcast {
    fn with(rules: &str, options: &Options) -> Self {
        let (folder, engine) = load(rules, options).unwrap_or_else(|error| panic!("{error}"));
        Self {
            _folder: folder,
            engine,
            config: Map::new().into(),
            checklist: Map::new().into(),
            payload: Value::Null,
        }
    }

    fn new(rules: &str) -> Self {
        Self::with(rules, &Options { limits: limits(), package: None })
    }

    /// Rules whose `after_sleep` is this body.
    fn rule(body: &str) -> Self {
        Self::new(&format!(
            "function after_good() return {{ NextWorker(\"fine\") }} end\nfunction after_sleep(msg, config, checklist)\n{body}\nend"
        ))
    }

    fn checklist(mut self, checklist: Value) -> Self {
        self.checklist = checklist;
        self
    }

    fn payload(mut self, payload: Value) -> Self {
        self.payload = payload;
        self
    }

    fn call(&self, source: &str) -> RuleCall {
        let message = Message::new(source, "success", self.payload.clone());
        self.engine.after(&message, &self.config, &self.checklist, &now())
    }

    fn answer(&self) -> RuleAnswer {
        self.call("sleep").result.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What the rule logged, each value of one `log.info(…)` in a line.
    fn said(&self) -> Vec<String> {
        let call = self.call("sleep");
        if let Err(error) = &call.result {
            panic!("{error}");
        }
        call.log.into_iter().map(|line| line.text).collect()
    }

    fn error(&self) -> String {
        match self.call("sleep").result {
            Err(RuleError::Failed(text)) => text,
            other => panic!("no error but {other:?}"),
        }
    }

    /// The first line of the error, without its place.
    fn reason(&self) -> String {
        let error = self.error();
        let line = error.lines().next().unwrap_or_default();
        line.splitn(3, ':').nth(2).unwrap_or(line).trim().to_owned()
    }

    /// A good rule of the same file still works.
    fn expect_well(&self) {
        let answer = self.call("good").result.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(answer.next_workers, [worker("fine", &[])]);
    }
}

fn worker(module: &str, args: &[&str]) -> NextWorker {
    NextWorker {
        module: module.into(),
        args: args.iter().map(ToString::to_string).collect(),
        host: "localhost".into(),
    }
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    items.into_iter().collect::<Vec<Value>>().into()
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().collect()
}

/// The log of a rule with this body.
fn said(body: &str) -> Vec<String> {
    Nowcast::rule(&format!("{body}\nreturn {{}}")).said()
}

/// The one line that the rule prints.
fn print(expression: &str) -> String {
    said(&format!("print({expression})")).remove(0)
}

fn reason(body: &str) -> String {
    Nowcast::rule(body).reason()
}

mod answers {
    use super::*;

    #[test]
    fn the_seed_s_rules_lead_from_sleep_to_awaken_to_rotate_logs() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules/next_workers.lua");
        let engine = Engine::load(&path, "next_workers", &Options::default()).unwrap();
        let next = |source: &str, r#type: &str| {
            let message = Message::new(source, r#type, Value::Null);
            let call = engine.after(&message, &Value::Null, &Value::Null, &now());
            call.result.unwrap().next_workers
        };
        assert_eq!(next("sleep", "success"), [worker("awaken", &[])]);
        assert_eq!(next("awaken", "success"), [worker("rotate_logs", &[])]);
        assert_eq!(next("rotate_logs", "success"), []);
        assert_eq!(next("clear_checklist", "success"), []);
        assert_eq!(next("sleep", "failure"), []);
        assert_eq!(next("sleep", "crash"), []);
        let names: Vec<&str> = engine.functions().iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["after_sleep", "after_awaken", "after_rotate_logs", "after_clear_checklist"]);
        assert_eq!(engine.functions()[0].chunk, "next_workers.lua");
        assert_eq!(engine.hash().len(), 64);
    }

    #[test]
    fn arguments_become_texts() {
        let nowcast = Nowcast::rule(
            r#"return {
                NextWorker("a.b", { "12", 7, date("2026-03-14"), -3 }, { host = "arbutus.cloud" }),
                worker("c", "--debug", 2),
                worker_on("nibi", "d"),
                NextWorker("e", checklist.args),
            }"#,
        )
        .checklist(map([(
            "args",
            list([Value::from("00"), Value::Int(5), Value::Date(jiff::civil::date(2026, 1, 2))]),
        )]));
        let mut expected = [
            worker("a.b", &["12", "7", "2026-03-14", "-3"]),
            worker("c", &["--debug", "2"]),
            worker("d", &[]),
            worker("e", &["00", "5", "2026-01-02"]),
        ];
        expected[0].host = "arbutus.cloud".into();
        expected[2].host = "nibi".into();
        assert_eq!(nowcast.answer(), RuleAnswer { next_workers: expected.into(), must_finish: None });
    }

    #[test]
    fn worker_puts_the_package_before_a_bare_name() {
        let options = Options { limits: limits(), package: Some("nowcast.workers".into()) };
        let rules = r#"function after_sleep() return { worker("a"), worker("x.b"), worker_on("h", "c"), NextWorker("d") } end"#;
        let modules: Vec<String> = Nowcast::with(rules, &options)
            .answer()
            .next_workers
            .into_iter()
            .map(|launch| launch.module)
            .collect();
        assert_eq!(modules, ["nowcast.workers.a", "x.b", "nowcast.workers.c", "d"]);
    }

    #[test]
    fn a_second_list_is_the_race_set() {
        let both = |second: &str| {
            Nowcast::rule(&format!(r#"return {{ worker("a") }}, {second}"#)).answer().must_finish
        };
        assert_eq!(both(r#"{ "b", "a", "b" }"#), Some(vec!["b".into(), "a".into()]));
        assert_eq!(both("{ x = true, b = true }"), Some(vec!["b".into(), "x".into()]));
        assert_eq!(both("{}"), Some(vec![]));
        assert_eq!(both("nil"), None);
    }

    #[test]
    fn a_wrong_answer_is_described() {
        let cases = [
            ("", "after_sleep returned nothing; return {} to launch nothing"),
            ("return nil", "after_sleep returned nothing; return {} to launch nothing"),
            ("return 5", "after_sleep returned an integer; return a list of NextWorkers"),
            ("return checklist", "after_sleep returned a table; return a list of NextWorkers"),
            (
                "return worker('a')",
                "after_sleep returned a single NextWorker; put it into a list: return { … }",
            ),
            (
                "return { worker('a'), 'b' }",
                "the list that after_sleep returned has the text \"b\" at place 2; every item must be a NextWorker",
            ),
            (
                "return { worker('a'), nil, worker('b') }",
                "the list that after_sleep returned[2] is nil; is a name misspelt, or the checklist incomplete?",
            ),
            (
                "return { a = worker('a') }",
                "the list that after_sleep returned must be a list, but has the key \"a\"",
            ),
            (
                "return { { worker('a') }, { 'b' } }",
                "after_sleep returned one list that holds two; return them as two values: return { … }, { … }",
            ),
            (
                "return {}, { 'a', 3 }",
                "the second value that after_sleep returned has the number 3 at place 2; names are text",
            ),
            (
                "return {}, 'a'",
                "the second value that after_sleep returned must be a list of worker names, got the text \"a\"",
            ),
            (
                "return {}, { a = 1 }",
                "the second value that after_sleep returned must be a list of worker names, or a table { name = true }",
            ),
            (
                "return {}, {}, 1",
                "after_sleep returned more than two values; return a list of workers to launch, and a second list of \
                 names if they must wait for one another",
            ),
        ];
        for (body, expected) in cases {
            let nowcast = Nowcast::rule(body);
            assert_eq!(nowcast.reason(), expected, "{body}");
            assert!(nowcast.error().starts_with("next_workers.lua:2: "), "{}", nowcast.error());
            nowcast.expect_well();
        }
    }

    #[test]
    fn a_wrong_launch_is_described_where_it_stands() {
        let cases = [
            ("NextWorker()", "NextWorker: the worker's module must be text, got nil"),
            ("NextWorker('')", "NextWorker: the worker's module is empty"),
            ("NextWorker('a b')", "NextWorker: the worker's module is \"a b\"; a name has no spaces"),
            (
                "NextWorker('a', '--debug')",
                "NextWorker(\"a\"): args must be a list in braces, as in { \"--debug\" }, got text",
            ),
            (
                "NextWorker('a', { 'x', nil, 'y' })",
                "NextWorker(\"a\"): args[2] is nil; is a name misspelt, or the checklist incomplete?",
            ),
            (
                "NextWorker('a', { 2.5 })",
                "NextWorker(\"a\"): args[1] is the number 2.5; say how to write it, as in string.format(\"%.1f\", x), \
                 or math.tointeger(x) for a whole one",
            ),
            (
                "NextWorker('a', { true })",
                "NextWorker(\"a\"): args[1] is true or false; an argument is text, an integer or a date",
            ),
            (
                "NextWorker('a', { {} })",
                "NextWorker(\"a\"): args[1] is a table; an argument is text, an integer or a date",
            ),
            ("NextWorker('a', { 'x\\0y' })", "NextWorker(\"a\"): args[1] has a zero byte in it"),
            (
                "NextWorker('a', {}, { delay = '10m' })",
                "NextWorker: the option \"delay\" is not supported in this version; only host is",
            ),
            (
                "NextWorker('a', {}, { hots = 'x' })",
                "NextWorker: there is no option \"hots\"; did you mean \"host\"?",
            ),
            (
                "NextWorker('a', {}, { q = 1 })",
                "NextWorker: there is no option \"q\"; the options are host, delay, at, timeout, retries, \
                 retry_delay, env",
            ),
            ("NextWorker('a', {}, { host = 3 })", "NextWorker: the host must be text, got an integer"),
            (
                "NextWorker('a', {}, 'nibi')",
                "NextWorker: the options must be a table, as in { host = \"…\" }, got text",
            ),
            (
                "worker('a', 'x', nil)",
                "worker: argument 2 after the worker's name is nil; is a name misspelt, or the checklist incomplete?",
            ),
            ("worker_on(nil, 'a')", "worker_on: the host must be text, got nil"),
        ];
        for (expression, expected) in cases {
            let nowcast = Nowcast::rule(&format!("-- a line before\nreturn {{ {expression} }}"));
            assert_eq!(nowcast.reason(), expected, "{expression}");
            assert!(nowcast.error().starts_with("next_workers.lua:4: "), "{}", nowcast.error());
        }
    }

    #[test]
    fn a_missing_function_is_told_apart() {
        let error = Nowcast::rule("return {}").call("other").result.unwrap_err();
        assert_eq!(error.to_string(), "could not find after_other in next_workers module");
        let error = Nowcast::new("after_sleep = 5").call("sleep").result.unwrap_err();
        assert!(matches!(error, RuleError::NoFunction { .. }));
    }
}

mod views {
    use super::*;

    fn forecast() -> Value {
        map([
            ("zebra", Value::Int(1)),
            ("apple", Value::Float(2.0)),
            ("nothing", Value::Null),
            ("yes", Value::Bool(true)),
            ("run", map([("date", Value::from("2026-03-14")), ("hour", Value::from("00"))])),
            ("items", list([Value::from("a"), Value::Null, Value::Int(3)])),
            ("day", Value::Date(jiff::civil::date(2026, 3, 14))),
            ("names", Value::from(["x", "y"].into_iter().map(Value::from).collect::<Set>())),
            ("bytes", Value::Bytes(vec![0xff, 0].into())),
            ("big", Value::BigInt(std::sync::Arc::new("123456789012345678901".parse().unwrap()))),
        ])
    }

    fn said(body: &str) -> Vec<String> {
        Nowcast::rule(&format!("{body}\nreturn {{}}")).checklist(forecast()).said()
    }

    fn print(expression: &str) -> String {
        said(&format!("print({expression})")).remove(0)
    }

    #[test]
    fn they_look_like_tables() {
        assert_eq!(
            print("type(checklist), type(msg), type(config), type(checklist.items)"),
            "table table table table"
        );
        assert_eq!(print("tostring(checklist), math.type(checklist)"), "table nil");
        assert_eq!(print("msg.source, msg.type, msg.payload"), "sleep success nil");
        assert_eq!(
            print("checklist.zebra, math.type(checklist.zebra), math.type(checklist.apple)"),
            "1 integer float"
        );
        assert_eq!(print("checklist.nothing, checklist.missing, checklist.yes"), "nil nil true");
        assert_eq!(print("checklist.run.date, type(checklist.run.hour)"), "2026-03-14 string");
        assert_eq!(print("checklist['run']['hour'] == '00'"), "true");
        assert_eq!(print("#checklist.bytes, checklist.bytes:byte(1)"), "2 255");
        assert_eq!(print("checklist.big"), "123456789012345678901");
        assert_eq!(print("getmetatable(checklist)"), "false");
        assert_eq!(print("checklist.run == checklist.run, checklist.run == checklist.items"), "true false");
    }

    #[test]
    fn lists_count_from_one_and_keep_their_nulls() {
        assert_eq!(
            print("#checklist.items, checklist.items[1], checklist.items[0], checklist.items[4]"),
            "3 a nil nil"
        );
        assert_eq!(
            print("checklist.items[2], checklist.items[2] == null, type(null), null == nil"),
            "null true null false"
        );
        assert_eq!(print("checklist.items[3.0], checklist.items['1']"), "3 nil");
        assert_eq!(said("for i, v in ipairs(checklist.items) do print(i, v) end"), ["1 a", "2 null", "3 3"]);
        assert_eq!(said("for i, v in pairs(checklist.items) do print(i, v) end"), ["1 a", "2 null", "3 3"]);
        assert_eq!(print("table.unpack(checklist.items)"), "a null 3");
        assert_eq!(print("select('#', table.unpack(checklist.items, 2))"), "2");
        assert_eq!(print("#{ table.unpack(checklist.items) }"), "3");
    }

    #[test]
    fn pairs_and_next_follow_the_order_that_was_written() {
        let order = "zebra apple nothing yes run items day names bytes big";
        assert_eq!(print("table.concat(keys(checklist), ' ')"), order);
        assert_eq!(
            said("local k = next(checklist) while k do print(k) k = next(checklist, k) end").join(" "),
            order
        );
        assert_eq!(print("next(checklist)"), "zebra 1");
        assert_eq!(
            said("for k, v in pairs(checklist.run) do print(k, v) end"),
            ["date 2026-03-14", "hour 00"]
        );
        assert_eq!(
            said("for k, v in next, checklist.run do print(k, v) end"),
            ["date 2026-03-14", "hour 00"]
        );
        assert_eq!(print("next(checklist.run, 'hour')"), "nil");
    }

    #[test]
    fn sets_iterate_as_members_and_index_as_true() {
        assert_eq!(
            said("for member, flag in pairs(checklist.names) do print(member, flag) end"),
            ["x true", "y true"]
        );
        assert_eq!(print("checklist.names.x, checklist.names.z, #checklist.names"), "true nil 2");
    }

    #[test]
    fn keys_of_any_type_are_found() {
        let date = jiff::civil::date(2026, 3, 14);
        let time = DateTime { civil: date.at(5, 15, 0, 0), offset: None };
        let entries = [
            (Value::Int(1), "one"),
            (Value::Float(2.0), "two"),
            (Value::Float(2.5), "half"),
            (Value::Bool(false), "no"),
            (Value::Date(date), "day"),
            (Value::DateTime(time), "time"),
            (Value::Null, "null"),
        ];
        let checklist: Value = entries.into_iter().map(|(key, text)| (key, Value::from(text))).collect();
        let print = |expression: &str| {
            Nowcast::rule(&format!("print({expression}) return {{}}"))
                .checklist(checklist.clone())
                .said()
                .remove(0)
        };
        assert_eq!(print("checklist[1], checklist[1.0], checklist[2], checklist[2.5]"), "one one two half");
        assert_eq!(print("checklist[false], checklist[true], checklist[null]"), "no nil null");
        assert_eq!(print("checklist[date('2026-03-14')], checklist[date('2026-03-14T05:15')]"), "day time");
        assert_eq!(print("#checklist"), "1");
        assert_eq!(print("next(checklist, date('2026-03-14'))"), "2026-03-14T05:15:00 time");
    }

    #[test]
    fn dates_are_date_objects() {
        assert_eq!(
            print("type(checklist.day), checklist.day, checklist.day.year, checklist.day.month"),
            "date 2026-03-14 2026 3"
        );
        assert_eq!(print("checklist.day == date('2026-03-14')"), "true");
    }

    #[test]
    fn writing_is_an_error_that_says_what_to_do() {
        let writes = [
            "checklist.x = 1",
            "checklist.run.date = nil",
            "rawset(checklist, 'x', 1)",
            "table.insert(checklist.items, 1)",
            "table.remove(checklist.items)",
            "table.sort(checklist.items)",
            "add(checklist.items, 1)",
            "table.move({ 1 }, 1, 1, 1, checklist.items)",
            "setmetatable(checklist, {})",
        ];
        for body in writes {
            let nowcast = Nowcast::rule(body).checklist(forecast());
            let reason = nowcast.reason();
            assert!(
                reason.starts_with("the message, the configuration and the checklist are read-only"),
                "{body}: {reason}"
            );
            assert!(reason.contains("copy what you need into a local table"), "{reason}");
            assert!(nowcast.error().starts_with("next_workers.lua:3: "), "{}", nowcast.error());
        }
    }

    #[test]
    fn library_functions_take_them() {
        assert_eq!(print("table.concat(checklist.run.list or { 'a', 2 }, '-')"), "a-2");
        assert_eq!(
            print("rawget(checklist, 'zebra'), rawlen(checklist.items), rawequal(checklist, checklist)"),
            "1 3 true"
        );
        assert_eq!(print("string.format('%s %s', checklist, checklist.day)"), "table 2026-03-14");
        assert_eq!(print("('zebra apple'):gsub('%w+', checklist)"), "1 2.0 2");
        assert_eq!(print("checklist.run"), r#"{date = "2026-03-14", hour = "00"}"#);
        assert_eq!(print("#table.move(checklist.items, 1, 3, 1, {})"), "3");
    }

    #[test]
    fn a_list_of_texts_is_joined() {
        let nowcast = Nowcast::rule("print(table.concat(msg.payload, ',', 2)) return {}").payload(list([
            Value::from("a"),
            Value::from("b"),
            Value::Int(3),
        ]));
        assert_eq!(nowcast.said(), ["b,3"]);
        let reason = Nowcast::rule("return table.concat(checklist.items)").checklist(forecast()).reason();
        assert_eq!(reason, "table.concat: item 2 is null; only texts and numbers can be joined");
    }

    #[test]
    fn a_view_kept_from_an_earlier_message_cannot_be_used() {
        let nowcast = Nowcast::new(
            "local kept\nfunction after_sleep(msg)\n  local before = kept\n  kept = msg\n  return { worker(before and before.type or 'first') }\nend",
        );
        assert_eq!(nowcast.answer().next_workers[0].module, "first");
        assert!(nowcast.error().contains("destructed"), "{}", nowcast.error());
    }

    #[test]
    fn errors_about_them_speak_of_tables() {
        assert_eq!(
            Nowcast::rule("return checklist()").reason(),
            "attempt to call a table value (local 'checklist')"
        );
        assert_eq!(
            Nowcast::rule("return checklist.a.b").reason(),
            "attempt to index a nil value (field 'a')"
        );
        let reason = Nowcast::rule("return 'x' .. checklist").reason();
        assert_eq!(reason, "attempt to concatenate a table value (local 'checklist')");
    }

    #[test]
    fn yaml_types_that_are_not_used_elsewhere_stay_reachable() {
        // The list of types is closed: a new one must be given its place in the views.
        let kinds = [Value::Null, Value::Bool(true), Value::Int(1), Value::Float(1.5), Value::from("x")];
        let nowcast =
            Nowcast::rule("for i = 1, 5 do print(msg.payload[i]) end return {}").payload(list(kinds));
        assert_eq!(nowcast.said(), ["null", "true", "1", "1.5", "x"]);
        let _ = yaml::Value::Null;
    }
}
