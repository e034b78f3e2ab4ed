//! Tests the setup from valid `logging:` sections, and the errors about invalid ones.

use super::*;

/// Return a `logging:` section from JSON, which is YAML.
fn value(json: &str) -> Value {
    pyyaml::read(json).expect("the test's JSON is valid")
}

fn setup(json: &str, role: Role) -> Result<(Setup, Vec<String>), String> {
    match Setup::with_rust_log(&value(json), role, None, None) {
        Ok((setup, warnings)) => Ok((setup, warnings.iter().map(ToString::to_string).collect())),
        Err(error) => Err(error.to_string()),
    }
}

fn levels(setup: &Setup, logger: &str) -> Vec<u32> {
    setup.tree.node(logger).unwrap().handlers.iter().map(|handler| handler.level.0).collect()
}

const WORKER: Role = Role::Worker { debug: false };

#[test]
fn a_daemon_watches_what_a_worker_rotates() {
    let folder = tempfile::tempdir().unwrap();
    let json = format!(
        r#"{{"version": 1, "handlers": {{"file": {{"class": "logging.handlers.RotatingFileHandler",
           "filename": "{}/log", "backupCount": 7}}}}, "root": {{"handlers": ["file", "file"]}}}}"#,
        folder.path().display()
    );
    let rotates = |role| {
        let (setup, warnings) = setup(&json, role).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(setup.tree.root.handlers.len(), 1, "a handler that is listed twice counts once");
        setup.tree.root.handlers[0].rotating_file().is_some()
    };
    assert!(rotates(WORKER) && !rotates(Role::Daemon));
}

#[test]
fn debug_shows_everything_on_the_console_and_silences_the_roots_other_handlers() {
    let json = |console: &str| {
        format!(
            r#"{{"handlers": {{"console": {{"class": "logging.StreamHandler"{console}}},
               "other": {{"class": "logging.NullHandler", "level": "INFO"}},
               "checklist": {{"class": "logging.NullHandler", "level": "INFO"}}}},
               "root": {{"handlers": ["other", "console"]}},
               "loggers": {{"checklist": {{"handlers": ["checklist"]}}}}}}"#
        )
    };
    let role = Role::Worker { debug: true };
    let (with_level, _) = setup(&json(r#", "level": 90"#), role).unwrap();
    assert_eq!((levels(&with_level, ""), levels(&with_level, "checklist")), (vec![90, 10], vec![20]));
    let (without, _) = setup(&json(""), role).unwrap();
    assert_eq!(levels(&without, "root"), [100, 10]);
    let (_, warnings) = setup(r#"{"root": {"level": "DEBUG"}}"#, role).unwrap();
    assert_eq!(
        warnings,
        [
            "the root has no handler named console, so --debug has nothing to show lines on (logging: root: handlers)"
        ]
    );
}

const PUBLISHER: &str =
    r#""zmq_pub": {"class": "zmq.log.handlers.PUBHandler", "level": "DEBUG", "formatter": "f"}"#;

fn publisher(handlers: &str, listed: &str) -> String {
    format!(
        r#"{{"publisher": {{"version": 1, "formatters": {{"f": {{"format": "%(message)s"}}}},
           "handlers": {{{handlers}{PUBLISHER}}},
           "root": {{"level": "INFO", "propagate": false, "handlers": [{listed}"zmq_pub"]}}}},
           "aggregator": {{"root": {{"level": "DEBUG"}}}}}}"#
    )
}

fn no_port() -> Warning {
    Warning::new("zmq: ports: logging", "there is no port")
}

/// An opener without an address to publish to.
struct Nowhere;

impl OpenPublisher for Nowhere {
    fn open(&self, place: &str) -> Result<Opened, SetupError> {
        assert_eq!(place, "logging: publisher");
        Ok(Opened::Nowhere(no_port()))
    }
}

#[test]
fn lines_that_should_be_published_and_have_no_port_go_to_the_console() {
    let levels = |handlers: &str, listed: &str| {
        let json = value(&publisher(handlers, listed));
        let (setup, warnings) = Setup::with_rust_log(&json, Role::Daemon, Some(&Nowhere), None).unwrap();
        assert_eq!(setup.first_line("log messages"), None);
        assert_eq!(warnings, [no_port()]);
        levels(&setup, "root")
    };
    assert_eq!(levels("", ""), [20], "a console of our own at the root's level");
    assert_eq!(
        levels(r#""console": {"class": "logging.StreamHandler", "level": 100},"#, r#""console", "#),
        [20]
    );
    assert_eq!(
        levels(r#""console": {"class": "logging.StreamHandler", "level": 40},"#, r#""console", "#),
        [40]
    );
    assert_eq!(levels(r#""console": {"class": "logging.StreamHandler", "level": 40},"#, ""), [20]);
    let (_, warnings) = setup(&publisher("", ""), Role::Daemon).unwrap();
    assert_eq!(warnings, Vec::<String>::new(), "who publishes nothing needs no port");
}

#[test]
fn each_role_has_its_part_of_a_distributed_configuration() {
    let (aggregator, _) = setup(&publisher("", ""), Role::Aggregator).unwrap();
    assert_eq!((aggregator.tree.root.level, aggregator.destination), (Level::DEBUG, Destination::Local));
    let debug = Role::Worker { debug: true };
    let (worker, _) = setup(&publisher("", ""), debug).unwrap();
    assert_eq!((levels(&worker, "root"), worker.destination), (vec![100], Destination::Local));
    let lacks = |json: &str, role| setup(json, role).unwrap_err();
    assert_eq!(
        lacks(r#"{"aggregator": {"version": 1}}"#, WORKER),
        "the section has no publisher (logging: publisher); \
         write a logging dictionary there, with version: 1, handlers: and root:"
    );
    assert!(lacks(r#"{"handlers": {}}"#, Role::Aggregator).starts_with("the section has no aggregator"));
    assert_eq!(
        lacks(r#"{"publisher": {"handlers": {"p": {"class": "zmq.log.handlers.PubHandler"}}}}"#, WORKER)
            .split_once("; did you mean").map(|(what, _)| what.to_owned()),
        Some("there is no handler class \"zmq.log.handlers.PubHandler\" (logging: publisher: handlers: p: class)".to_owned())
    );
}

#[test]
fn a_class_can_stand_where_python_has_factories_and_behind_ext() {
    let (setup, warnings) = setup(
        r#"{"publisher": {"handlers": {"p": {"()": "zmq.log.handlers.PUBHandler", "root_topic": "x"},
            "c": {"class": "ext://logging.StreamHandler"}}, "root": {"handlers": ["p", "c"]}}}"#,
        WORKER,
    )
    .unwrap();
    assert_eq!((levels(&setup, "root"), warnings), (vec![0], Vec::new()));
}

#[test]
fn a_mail_handler_is_checked() {
    let mail = |keys: &str| {
        let json =
            format!(r#"{{"handlers": {{"email": {{"class": "logging.handlers.SMTPHandler"{keys}}}}}}}"#);
        match setup(&json, WORKER) {
            Ok((_, warnings)) => warnings.join("\n"),
            Err(error) => error,
        }
    };
    let with = |more: &str| {
        mail(&format!(
            r#", "mailhost": "localhost", "fromaddr": "a@b.example", "toaddrs": ["c@localhost"], "subject": "s"{more}"#
        ))
    };
    assert_eq!(with(""), "");
    assert_eq!(with(r#", "credentials": ["u", "p"], "secure": [], "timeout": 2"#), "");
    assert_eq!(
        with(r#", "secure": []"#),
        "without credentials the connection is not encrypted (logging: handlers: email: secure)"
    );
    let key = "(logging: handlers: email";
    for (keys, expected) in [
        ("", format!("this handler sends mail but has no mailhost {key}); write mailhost: localhost")),
        (
            r#", "mailhost": ["localhost"]"#,
            format!(
                "this is not a mail server {key}: mailhost); write mailhost: localhost, or with its port [localhost, 25]"
            ),
        ),
        (
            r#", "mailhost": "localhost", "fromaddr": "nobody""#,
            format!("\"nobody\" is not a mail address {key}: fromaddr): "),
        ),
        (
            r#", "mailhost": ["localhost", 0], "fromaddr": "Nowcast <a@b.example>", "toaddrs": []"#,
            format!(
                "this handler sends mail but has no toaddrs {key}); write toaddrs: [someone@host.example]"
            ),
        ),
        (
            r#", "mailhost": "localhost", "fromaddr": "a@b.example", "toaddrs": "c@d.example""#,
            format!("this handler sends mail but has no subject {key}); write subject: 'CRITICAL message'"),
        ),
    ] {
        let said = mail(keys);
        assert!(said.starts_with(&expected), "{said}");
    }
    assert!(with(r#", "credentials": ["u"]"#).contains("these are not two texts"));
    assert!(with(r#", "timeout": 0"#).contains("this is not a timeout"));
}

#[test]
fn what_cannot_be_done_yet_is_passed_over() {
    let (setup, warnings) = setup(
        r#"{"version": 1, "disable_existing_loggers": false, "incremental": true, "colour": true,
           "filters": {"f": {"name": "a"}},
           "formatters": {"own": {"()": "mine.Formatter", "format": "%(message)s"}},
           "handlers": {
             "email": {"class": "logging.handlers.HTTPHandler", "formatter": "own"},
             "sentry": {"class": "sentry_sdk.integrations.logging.EventHandler"},
             "factory": {"()": "mine.handler"},
             "console": {"class": "logging.StreamHandler", "strem": "ext://sys.stdout", "filters": ["f"]}},
           "loggers": {"a": {"qualname": "a", "handlers": ["email"], "propagate": 0}},
           "root": {"handlers": ["sentry", "factory", "email", "console"]}}"#,
        WORKER,
    )
    .unwrap();
    assert_eq!((levels(&setup, "root"), levels(&setup, "a")), (vec![0], vec![]));
    assert!(!setup.tree.node("a").unwrap().propagate);
    assert_eq!(
        warnings,
        [
            "colour means nothing here and is passed over (logging: colour)",
            "the whole section is used each time, so incremental is passed over (logging: incremental)",
            "formatters of your own are Python code; the plain one takes its place. For lines of JSON, use \
             pythonjsonlogger.json.JsonFormatter (logging: formatters: own: ())",
            "logging.handlers.HTTPHandler cannot be used here; this handler is passed over \
             (logging: handlers: email: class)",
            "sentry_sdk.integrations.logging.EventHandler cannot be used here; this handler is passed over \
             (logging: handlers: sentry: class)",
            "handlers made by your own Python code cannot be used here; this one is passed over \
             (logging: handlers: factory: ())",
            "strem means nothing here and is passed over; did you mean stream? (logging: handlers: console: strem)",
            "filters are not applied: every line passes them (logging: handlers: console: filters)",
        ]
    );
}

#[test]
fn errors_say_what_where_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let file = |filename: &str| {
        format!(r#"{{"handlers": {{"info": {{"class": "logging.FileHandler", "filename": "{filename}"}}}}}}"#)
    };
    let handler = |text: &str| format!(r#"{{"handlers": {{"console": {text}}}}}"#);
    let cases = [
        (
            "null".to_owned(),
            "the configuration has no logging section (logging); write version: 1, handlers: and root: below it",
        ),
        ("[]".to_owned(), "this is a list, not a mapping (logging); write its keys below it, indented"),
        (
            r#"{"version": 2}"#.to_owned(),
            "this version of logging dictionaries is not known (logging: version); write version: 1",
        ),
        (
            file(&format!("{path}/none/log")),
            &format!(
                "cannot open the log file {path}/none/log (logging: handlers: info: filename): \
                      No such file or directory (os error 2); create the folder {path}/none, or name another one"
            ),
        ),
        (
            file(&format!("{path}")),
            &format!(
                "cannot open the log file {path} (logging: handlers: info: filename): \
                      Is a directory (os error 21); name a file in it"
            ),
        ),
        (
            file("/$(NOWCAST.ENV.NOWCAST_LOGS)/log"),
            "cannot open the log file /$(NOWCAST.ENV.NOWCAST_LOGS)/log (logging: handlers: info: filename): \
             No such file or directory (os error 2); set the environment variable NOWCAST_LOGS",
        ),
        (
            handler(r#"{"class": "logging.StreamHandlr"}"#),
            "there is no handler class \"logging.StreamHandlr\" (logging: handlers: console: class); did you mean \
             logging.StreamHandler? Known: logging.StreamHandler, logging.FileHandler, logging.NullHandler, \
             logging.handlers.RotatingFileHandler, logging.handlers.WatchedFileHandler, \
             logging.handlers.TimedRotatingFileHandler, logging.handlers.SMTPHandler, zmq.log.handlers.PUBHandler",
        ),
        (
            handler(r#"{"level": "INFO"}"#),
            "this handler has no class (logging: handlers: console); \
             write class: logging.StreamHandler or logging.handlers.WatchedFileHandler",
        ),
        (
            handler(r#"{"class": "logging.StreamHandler", "level": "debug"}"#),
            "there is no level \"debug\" (logging: handlers: console: level); did you mean DEBUG? \
             Known: CRITICAL, FATAL, ERROR, WARNING, WARN, INFO, DEBUG, NOTSET",
        ),
        (
            handler(r#"{"class": "logging.StreamHandler", "stream": "stdout"}"#),
            "there is no stream \"stdout\" (logging: handlers: console: stream); \
             write ext://sys.stdout or ext://sys.stderr",
        ),
        (
            handler(r#"{"class": "logging.StreamHandler", "formatter": "simple"}"#),
            "there is no formatter \"simple\" (logging: handlers: console: formatter); none is defined",
        ),
        (
            r#"{"formatters": {"f": {"format": "%(nam)s"}}}"#.to_owned(),
            "the format \"%(nam)s\" is not valid (logging: formatters: f): a line has no attribute \"nam\"; \
             did you mean name? Known: asctime, created, filename, funcName, levelname, levelno, lineno, logger_name, \
             message, module, msecs, msg, name, pathname, process, processName, relativeCreated, thread, threadName",
        ),
        (
            r#"{"formatters": {"f": {"style": "?"}}}"#.to_owned(),
            "the formatter style \"?\" is unknown (logging: formatters: f: style); write '%', '{' or '$'",
        ),
        (
            r#"{"root": {"handlers": ["console"]}}"#.to_owned(),
            "there is no handler \"console\" (logging: root: handlers); none is defined",
        ),
        (
            r#"{"loggers": {"a": {"handlers": "console"}}}"#.to_owned(),
            "this is text, not a list of names (logging: loggers: a: handlers); write it as [console]",
        ),
        (
            r#"{"root": {"level": -1}}"#.to_owned(),
            "there is no level -1 (logging: root: level); write 0 (all lines) to 100 (none)",
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(setup(&json, WORKER).unwrap_err(), expected);
    }
}

#[test]
fn a_refused_section_empties_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::write(&log, "kept\n").unwrap();
    let json = |second: &str| {
        format!(
            r#"{{"handlers": {{"a": {{"class": "logging.FileHandler", "filename": "{}", "mode": "w"}},
               "b": {{"class": "logging.FileHandler", "filename": "{second}"}}}}}}"#,
            log.display()
        )
    };
    assert!(setup(&json("/nonexistent/log"), WORKER).is_err());
    let (setup, _) = setup(&json("/dev/null"), WORKER).unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "kept\n", "not yet in force");
    setup.into_tree();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");
}

#[test]
fn an_invalid_rust_log_is_ignored_with_a_warning() {
    let json = value(r#"{"handlers": {}}"#);
    let (_, warnings) = Setup::with_rust_log(&json, WORKER, None, Some(OsStr::new("manager=loud"))).unwrap();
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "RUST_LOG is ignored: error parsing logger filter: invalid logging spec 'loud' (environment variable RUST_LOG)"
        ]
    );
}
