//! Commands for a worker's script: `nowcast need`, `tell` and `fetch`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::servers::{Certificate, Server, endless};
use crate::support::system::{Builder, NOWCAST, System, system};

const RULES: &str = "
    function after_script(msg, config, checklist)
      log.info('rule got ' .. msg.type)
      return {}
    end
";

/// A worker `script` that runs a shell script. The script finds `nowcast`, although the daemons' path lacks it.
fn script(settings: &str, text: &str) -> Builder {
    system()
        .worker("script: {checklist key: what was scripted, success: it went well, halfway: half of it is done, crash: it crashed, need: it needs}")
        .section(&format!("workers: {{script: {settings}}}"))
        .rules(RULES)
        .file("script.sh", text)
}

const EXEC: &str = "{exec: [sh, '{folder}/script.sh']}";

/// Launch the script and wait until its last message has reached its rule.
fn run(system: &System, last: &str) {
    system.operate(&["launch", "script"]);
    system.wait_for_log("manager", &format!("rule got {last}"));
}

#[test]
fn a_script_needs_no_library_for_need_and_tell() {
    let text = "
        set -e
        hours=$(nowcast need sleepyhead 'sleep time')
        names=$(nowcast need --json sleepyhead names)
        last=$(nowcast need sleepyhead names 1)
        nothing=$(nowcast need --default nobody sleepyhead nothing)
        none=$(nowcast need --default none gone)
        nowcast tell halfway \"{hours: $hours, names: $names, last: $last, nothing: $nothing, none: $none}\"
        echo '{\"done\": true}' > payload.json
        nowcast tell halfway @payload.json
    ";
    let system = script(EXEC, text).start();
    assert_eq!(system.send("sleep", "success", "{sleep time: 5, names: [a, \"07\"]}"), "ack");
    run(&system, "success");
    let kept = system.operate(&["checklist", "get", "what was scripted"]);
    assert_eq!(kept, "hours: 5\nlast: 7\nnames:\n- a\n- '07'\nnone: none\nnothing: nobody\ndone: true\n");
    assert_eq!(system.log("manager").matches("rule got halfway").count(), 2);
}

#[test]
fn a_command_can_report_by_tell() {
    let system = script("{command: [sh, '{folder}/script.sh']}", "nowcast tell success").start();
    run(&system, "success");
    system.wait_for("its end", || system.operate(&["runs"]).contains("succeeded").then_some(()));
    assert!(!system.log("manager").contains("without a report"), "{}", system.describe());
}

#[test]
fn errors_of_need_and_tell_give_the_reason() {
    let system = script(EXEC, "").start();
    assert_eq!(system.send("sleep", "success", "{sleep time: 5}"), "ack");
    for (arguments, status, text) in [
        (&["need", "--worker", "script", "sleepy"][..], 1, "the checklist has no \"sleepy\""),
        (
            &["need", "--worker", "script", "sleepyhead", "tme"],
            1,
            "\"tme\" is not in sleepyhead; there are: sleep time",
        ),
        (
            &["need", "--worker", "keyless", "sleepyhead"],
            1,
            "message type not found for keyless worker in nowcast.yaml message registry: need",
        ),
        (
            &["need", "--worker", "script", "--debug", "sleepyhead"],
            1,
            "--debug asks no manager for \"sleepyhead\"",
        ),
        (
            &["tell", "--worker", "nobody", "success"],
            1,
            "worker not found in nowcast.yaml message registry: nobody",
        ),
        (
            &["tell", "--worker", "script", "sucess"],
            1,
            "message type not found for script worker in nowcast.yaml message registry: sucess",
        ),
        (&["tell", "--worker", "script", "success", "{a: ["], 2, "invalid payload, neither YAML nor JSON: "),
        (
            &["tell", "--worker", "script", "success", "@nothing"],
            2,
            "invalid payload in nothing: No such file",
        ),
        (&["tell", "success"], 2, "--worker <NAME>"),
        (
            &["tell", "--worker", "script", "-c", "nothing.yaml", "success"],
            2,
            "the configuration file cannot be read",
        ),
    ] {
        let (found, shown) = system.operation(arguments);
        assert_eq!(found, Some(status), "{arguments:?}: {shown}");
        assert!(shown.contains(text), "{arguments:?}: {shown}");
    }
    assert!(!system.log("manager").contains("rule got"), "{}", system.describe());
}

#[test]
fn within_a_worker_with_debug_tell_sends_nothing() {
    let text = format!("'{NOWCAST}' tell halfway && '{NOWCAST}' need --default 5 sleepyhead > seen");
    let system = script(EXEC, &text).start();
    let text = system.operate(&["exec", "script", "nowcast.yaml", "--debug", "--", "sh", "script.sh"]);
    assert!(
        text.contains("message that would have been sent to manager: (halfway half of it is done)"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(system.path("seen")).expect("the script ran"), "5\n");
    assert!(!system.log("manager").contains("received message from script"), "{}", system.describe());
}

/// A server that answers requests with these bytes, one after the other; the receiver returns the requests.
fn server(answers: Vec<&'static str>) -> (String, mpsc::Receiver<String>) {
    slow_server(answers, Duration::ZERO)
}

/// The same, with a pause before each answer.
fn slow_server(answers: Vec<&'static str>, pause: Duration) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/weather.grib2", listener.local_addr().expect("an address"));
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a request") > 0 {
                request.push(byte[0]);
            }
            thread::sleep(pause);
            // The client may have given up.
            let _ = stream.write_all(answer.as_bytes());
            let _ = sender.send(String::from_utf8_lossy(&request).into_owned());
        }
    });
    (url, asked)
}

const REFUSED: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf of it";
const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nall of it";

#[test]
fn a_file_is_downloaded_when_it_exists_and_appears_whole() {
    let (url, asked) = server(vec![REFUSED, BROKEN, "", WHOLE]);
    let system = system().prepare();
    let arguments = ["fetch", "--pause", "1ms", "--header", "X-Key: a: b", &url, "weather.grib2"];
    let text = system.operate(&arguments);
    for line in [
        format!("received http status: 404 from {url}\nwaiting 0.001 seconds until retry 1\n"),
        "waiting 0.002 seconds until retry 2\n".to_owned(),
        "waiting 0.004 seconds until retry 3\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert_eq!(std::fs::read_to_string(system.path("weather.grib2")).expect("a file"), "all of it");
    let asked: Vec<String> = asked.iter().collect();
    assert!(asked.iter().all(|request| request.to_lowercase().contains("x-key: a: b\r\n")), "{asked:?}");
    let left: Vec<_> = std::fs::read_dir(system.path(".")).expect("the folder").flatten().collect();
    assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().contains("fetch")), "{left:?}");
}

#[test]
fn a_download_that_fails_leaves_the_earlier_file() {
    let (url, _asked) = server(vec![BROKEN, REFUSED, REFUSED]);
    let system = system().file("weather.grib2", "yesterday's").prepare();
    let (status, text) =
        system.operation(&["fetch", "--pause", "1ms", "--give-up", "3ms", &url, "weather.grib2"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.ends_with(&format!(
            "giving up; download from {url} failed 3 times, at last: http status: 404\n"
        )),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(system.path("weather.grib2")).expect("a file"), "yesterday's");
}

#[test]
fn a_response_without_the_file_is_not_stored() {
    let nothing_new = "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n";
    let part = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nConnection: close\r\n\r\npart";
    let (url, _asked) = server(vec![nothing_new, part, WHOLE]);
    let system = system().file("real.grib2", "yesterday's").prepare();
    std::os::unix::fs::symlink("real.grib2", system.path("link")).expect("a link");
    let text = system.operate(&["fetch", "--pause", "1ms", &url, "link"]);
    assert!(
        text.contains("received http status: 304") && text.contains("received http status: 206"),
        "{text}"
    );
    assert!(std::fs::symlink_metadata(system.path("link")).expect("a link").is_symlink());
    assert_eq!(std::fs::read_to_string(system.path("real.grib2")).expect("a file"), "all of it");
    let (url, _asked) = server(vec![WHOLE]);
    let (status, text) = system.operation(&["fetch", &url, "/dev/null"]);
    assert_eq!((status, text.as_str()), (Some(2), "/dev/null is not a regular file\n"));
}

#[test]
fn errors_that_a_retry_cannot_fix_are_reported_at_once() {
    let system = system().prepare();
    let (url, _asked) = server(vec![WHOLE]);
    for (arguments, text) in [
        (["fetch", "http://127.0.0.1:99999/x", "file"], "; write it as https://host/path"),
        (
            ["fetch", "http://ana:secret@127.0.0.1:99999/x", "file"],
            "invalid address \"http://127.0.0.1:99999/x\"",
        ),
        (["fetch", "--pause", "0s"], "the duration must be above zero"),
        (["fetch", "no address", "file"], "invalid address \"no address\"; write it as https://host/path"),
        (["fetch", &url, "nothing/file"], "nothing/file cannot be written: No such file"),
        (["fetch", "ftp://host/path", "file"], "invalid address \"ftp://host/path\"; "),
        (["fetch", "--pause", "soon"], "\"soon\" is not a span of time"),
        (["fetch", "--header=na me: x", &url], "invalid header name \"na me\""),
        (["fetch", "--header=name: x\ny", &url], "the value of name is not one line of text"),
    ] {
        let (status, shown) = system.operation(&arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {shown}");
        assert!(shown.contains(text), "{arguments:?}: {shown}");
    }
}

#[test]
fn a_download_uses_the_proxy_of_its_scheme() {
    let nowhere = "http://127.0.0.1:1";
    let (proxy, asked) = server(vec![REFUSED]);
    let system = system()
        .env("ALL_PROXY", nowhere)
        .env("https_proxy", "")
        .env("HTTPS_PROXY", "socks5://ana:secret@127.0.0.1")
        .env("http_proxy", proxy.trim_end_matches("/weather.grib2"))
        .env("no_proxy", "127.0.0.1")
        .prepare();
    let pauses = ["--pause", "1ms", "--give-up", "1ms"];
    let fetch = |url: &str| system.operation(&[&["fetch"], &pauses[..], &[url, "file"]].concat());
    assert_eq!(fetch("http://host.invalid/file").0, Some(1));
    let asked = asked.recv_timeout(Duration::from_secs(60)).expect("the proxy is asked");
    assert!(asked.starts_with("CONNECT host.invalid:80 "), "{asked}");
    let (url, _asked) = server(vec![WHOLE]);
    assert_eq!(fetch(&url).0, Some(0), "no_proxy excepts it");
    let (status, text) = fetch("https://host.invalid/file");
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("variable HTTPS_PROXY names a SOCKS proxy") && !text.contains("secret"), "{text}");
}

/// Headers may have a password for the server that they are meant for.
#[test]
fn headers_do_not_follow_a_redirect_to_another_server() {
    let system = system().file("headers", "X-Key: secret\n\nAccept: text/plain\n").prepare();
    let (other, asked_other) = server(vec![WHOLE]);
    let redirect =
        format!("HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (url, asked) = server(vec![redirect.leak()]);
    system.operate(&["fetch", "--header", "@headers", &url, "file"]);
    let (asked, asked_other) = (asked.recv().expect("a request"), asked_other.recv().expect("a request"));
    assert!(asked.to_lowercase().contains("x-key: secret\r\n"), "{asked}");
    assert!(!asked_other.contains("secret"), "{asked_other}");
    let same = "HTTP/1.1 302 Found\r\nLocation: /b?c\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (url, asked) = server(vec![same, WHOLE]);
    system.operate(&["fetch", "--header", "@headers", &url, "file"]);
    let asked: Vec<String> = asked.iter().collect();
    assert!(asked[1].starts_with("GET /b?c ") && asked[1].contains("secret"), "{asked:?}");
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let certificate = Certificate::new();
    let (secure, plain) = (Server::web_by_tls(&certificate), Server::web());
    secure.redirect(&plain.url("/file"));
    let system = system().env("SSL_CERT_FILE", &certificate.file.display().to_string()).prepare();
    let url = format!("https://localhost:{}/file", secure.port);
    let (status, text) = system.operation(&["fetch", "--give-up", "0s", &url, "file"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("a redirect from https to http, which is not followed"), "{text}");
    assert_eq!((secure.kept().len(), plain.kept().len()), (1, 0));
}

#[test]
fn passwords_in_an_address_are_not_shown() {
    let system = system().prepare();
    let (url, _asked) = server(vec![REFUSED, REFUSED]);
    let url = format!("{}?token=hidden", url.replace("http://", "http://ana:hidden@"));
    let (status, text) = system.operation(&["fetch", "--pause", "1ms", "--give-up", "2ms", &url, "file"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("received http status: 404 from http://127.0.0.1:"), "{text}");
    assert!(text.contains("/weather.grib2?… failed") && !text.contains("hidden"), "{text}");
}

#[test]
fn a_file_that_is_too_large_is_refused_and_what_a_killed_fetch_left_is_removed() {
    let system = system().prepare();
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let (dead, alive) = (u32::MAX, std::process::id());
    let part = |process: u32| system.path(&format!(".nowcast-fetch-{}-{process}-abc", machine.trim()));
    for process in [dead, alive] {
        std::fs::write(part(process), "half").expect("written");
    }
    let (url, _asked) = server(vec![WHOLE, WHOLE]);
    let (status, text) = system.operation(&["fetch", "--max-size", "8", &url, "file"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("has more than 8 bytes; --max-size allows more"), "{text}");
    assert!(!system.path("file").exists());
    system.operate(&["fetch", "--max-size", "9", &url, "file"]);
    assert!(!part(dead).exists() && part(alive).exists());
}

#[test]
fn a_fetch_that_is_stopped_leaves_nothing() {
    let mut system = system().prepare();
    let parts = |system: &System| {
        let files = std::fs::read_dir(system.path("")).expect("a folder").flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with(".nowcast-fetch-")).count()
    };
    let url = endless("HTTP/1.1 200 OK\r\n\r\n", b"x", Duration::from_millis(20));
    let command = system.command(&["fetch", &url, "file"]);
    system.spawn("fetch", command);
    system.wait_for("the incomplete file", || (parts(&system) == 1).then_some(()));
    // Of the signals that end it, the one that no shell lets programs in the background ignore.
    system.signal("fetch", rustix::process::Signal::TERM);
    assert!(!system.wait_for_end("fetch").success());
    assert_eq!(parts(&system), 0);
    assert!(!system.path("file").exists());
}

#[test]
fn redirects_do_not_prolong_an_attempt() {
    let system = system().prepare();
    let hop = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Each answer takes 300 ms.
    let (url, asked) = slow_server(vec![hop; 10], Duration::from_millis(300));
    let (status, text) = system.operation(&["fetch", "--timeout", "1s", "--give-up", "0s", &url, "file"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("timeout"), "{text}");
    assert!(asked.try_iter().count() < 10, "all redirects were followed");
}

#[test]
fn an_endless_download_is_stopped() {
    let system = system().prepare();
    let fetch =
        |url: &str| system.operation(&["fetch", "--timeout", "500ms", "--give-up", "0s", url, "file"]);
    let circle =
        "HTTP/1.1 302 Found\r\nLocation: /weather.grib2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (url, _asked) = server(vec![circle; 11]);
    let (status, text) = system.operation(&["fetch", "--give-up", "0s", &url, "file"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.ends_with("at last: too many redirects\n"), "{text}");
    for (status_line, why) in [("200 OK", "timeout: global"), ("404 Not Found", "http status: 404")] {
        let url = endless(&format!("HTTP/1.1 {status_line}\r\n\r\n"), b"x", Duration::from_millis(1));
        let (status, text) = fetch(&url);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.ends_with(&format!("at last: {why}\n")), "{text}");
    }
    assert!(!system.path("file").exists());
}

#[test]
fn an_answer_that_cannot_be_separated_from_the_log_is_an_error() {
    let system = system().prepare();
    // Four descriptors may be open, and all four are in use.
    let output = std::process::Command::new("sh")
        .args(["-c", "exec 3</dev/null <&-; ulimit -n 4; exec \"$0\" tell --worker keyless success", NOWCAST])
        .current_dir(system.path("."))
        .output()
        .expect("the shell runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Too many open files") && text.contains("ulimit -n"), "{text}");
}
