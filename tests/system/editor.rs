//! What an editor shows of a configuration: the real language server for YAML reads the schema that `nowcast init` writes.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

use crate::support::node::yaml_language_server;
use crate::support::system::{NOWCAST, system};
use crate::support::wait::DEADLINE;

/// The line that names the schema beside a configuration.
const SCHEMA_LINE: &str = "# yaml-language-server: $schema=nowcast.schema.json\n";

/// The language server, as an editor talks to it.
struct Editor {
    server: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    folder: tempfile::TempDir,
    /// The latest diagnostics of each document.
    diagnostics: HashMap<String, Vec<Value>>,
    requests: u32,
}

impl Editor {
    /// Start the server in a folder with the schema.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let schema = Command::new(NOWCAST).args(["generate", "schema"]).output().expect("it runs");
        fs::write(folder.path().join("nowcast.schema.json"), schema.stdout).expect("the schema");
        let mut command = Command::new(yaml_language_server());
        command.arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut server = command.spawn().expect("the server starts");
        let mut output = BufReader::new(server.stdout.take().expect("its output"));
        let (sender, messages) = channel();
        thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                let _ = sender.send(message);
            }
        });
        let input = server.stdin.take().expect("its input");
        let mut editor = Self { server, input, messages, folder, diagnostics: HashMap::new(), requests: 0 };
        let root = editor.address("");
        editor.ask(
            "initialize",
            &json!({ "processId": std::process::id(), "rootUri": root, "capabilities": {} }),
        );
        editor.tell("initialized", &json!({}));
        let settings = json!({ "validate": true, "hover": true, "completion": true, "schemaStore": { "enable": false } });
        editor.tell("workspace/didChangeConfiguration", &json!({ "settings": { "yaml": settings } }));
        editor
    }

    fn address(&self, name: &str) -> String {
        format!("file://{}/{name}", self.folder.path().display())
    }

    /// Open a configuration and return its diagnostics, each with its line, from 1.
    fn open(&mut self, name: &str, text: &str) -> Vec<(u64, String)> {
        let uri = self.address(name);
        let document =
            json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": format!("{SCHEMA_LINE}{text}") });
        self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        while !self.diagnostics.contains_key(&uri) {
            self.receive();
        }
        let found = |found: &Value| {
            (found["range"]["start"]["line"].as_u64().expect("a line"), found["message"].to_string())
        };
        self.diagnostics[&uri].iter().map(found).collect()
    }

    /// Ask for something at a place of a document: line and column count from 0, and the first line names the schema.
    fn at(&mut self, what: &str, name: &str, line: u32, character: u32) -> Value {
        let position = json!({ "line": line, "character": character });
        self.ask(
            &format!("textDocument/{what}"),
            &json!({ "textDocument": { "uri": self.address(name) }, "position": position }),
        )
    }

    /// Send a request and return the result.
    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
        loop {
            let mut message = self.receive();
            if message["id"] == id && message.get("method").is_none() {
                return message["result"].take();
            }
        }
    }

    fn tell(&mut self, method: &str, parameters: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters }));
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("sent");
        self.input.flush().expect("sent");
    }

    /// Receive a message. Requests of the server get an empty answer.
    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(DEADLINE).expect("a message of the server");
        if message["method"] == "textDocument/publishDiagnostics" {
            let found = message["params"]["diagnostics"].as_array().expect("a list").clone();
            self.diagnostics.insert(message["params"]["uri"].as_str().expect("a document").to_owned(), found);
        } else if message.get("method").is_some() && message.get("id").is_some() {
            self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
        }
        message
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Read a message with its header.
fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        output.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        length = line
            .strip_prefix("Content-Length: ")
            .map(|length| length.trim().parse().expect("a number"))
            .or(length);
    }
    let mut text = vec![0; length?];
    output.read_exact(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[test]
fn good_configurations_have_no_diagnostics() {
    let mut editor = Editor::start();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "nowcast.yaml",
        "examples/forecast/nowcast.yaml",
        "python/example/nowcast.yaml",
        "src/cli/init/minimal/nowcast.yaml",
        "src/cli/init/scripts/nowcast.yaml",
        "tests/docs/nowcast.yaml",
        "tests/system/production/files/nowcast.yaml",
        "tests/texts/recorded/nowcast.yaml",
        "fuzz/src/system/nowcast.yaml",
        "src/config/default_settings.yaml",
    ] {
        let text = fs::read_to_string(root.join(file)).expect("readable");
        // The ports are filled in later.
        let placeholders = ["@MANAGER_PORT@", "@WORKERS_PORT@", "MANAGER_PORT", "WORKERS_PORT"];
        let text = placeholders.into_iter().fold(text, |text, placeholder| text.replace(placeholder, "4343"));
        assert_eq!(editor.open(&file.replace('/', "-"), &text), [], "{file}");
    }
    let of_tests = fs::read_to_string(system().prepare().config()).expect("readable");
    assert_eq!(editor.open("tests.yaml", &of_tests), []);
}

#[test]
fn the_examples_of_the_manual_have_no_diagnostics() {
    let mut editor = Editor::start();
    let pages = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("the pages");
    let mut blocks = Vec::new();
    for page in
        pages.flatten().filter(|page| page.path().extension().is_some_and(|extension| extension == "md"))
    {
        let text = fs::read_to_string(page.path()).expect("readable");
        let yaml = text.split("\n```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("yaml\n"));
        blocks.extend(yaml.map(|block| (page.path(), block.to_owned())));
    }
    assert!(blocks.len() > 10);
    for (number, (page, block)) in blocks.iter().enumerate() {
        assert_eq!(editor.open(&format!("{number}.yaml"), block), [], "{}: {block}", page.display());
    }
}

#[test]
fn a_bad_configuration_has_a_diagnostic_at_its_line() {
    let mut editor = Editor::start();
    for (number, (text, line, expected)) in [
        ("zmq:\n  host: 7\n", 2, "string"),
        ("python: x\nzmq:\n  ports: {manager: many}\n", 3, "integer"),
        ("workers:\n  sleep:\n    max runing: 1\n", 3, "max runing"),
        ("broker:\n  managers: two\n", 2, "many"),
        ("scheduled workers:\n  - sleep: {every: day, at: '05:15'}\n  - sleep: {evry: day}\n", 3, "evry"),
        ("expect:\n  - {worker: sleep}\n", 2, "by"),
        ("workers:\n  sleep: {timeout: soon}\n", 2, "pattern"),
        ("notifications:\n  web: {url: x, alarm: all}\n", 2, ""),
        ("include: {a: b}\n", 1, "array"),
        ("journal:\n  keep: 90\n", 2, "string"),
    ]
    .into_iter()
    .enumerate()
    {
        let found = editor.open(&format!("{number}.yaml"), text);
        assert!(found.iter().any(|(at, said)| *at == line && said.contains(expected)), "{text}: {found:?}");
    }
}

#[test]
fn keys_are_completed_and_described() {
    let mut editor = Editor::start();
    let text = "zmq:\n  host: localhost\n  \nworkers:\n  sleep:\n    re\n\n";
    editor.open("nowcast.yaml", text);
    let mut labels = |line, character| -> Vec<String> {
        let result = editor.at("completion", "nowcast.yaml", line, character);
        let items = result["items"].as_array().expect("a list").clone();
        items.iter().map(|item| item["label"].as_str().expect("text").to_owned()).collect()
    };
    let of_zmq = labels(3, 2);
    assert!(["bind", "ports"].iter().all(|key| of_zmq.contains(&(*key).to_owned())), "{of_zmq:?}");
    let of_worker = labels(6, 6);
    assert!(
        of_worker.contains(&"retry delay".to_owned()) && !of_worker.contains(&"bind".to_owned()),
        "{of_worker:?}"
    );
    let sections = labels(7, 0);
    assert!(sections.contains(&"message registry".to_owned()), "{sections:?}");
    let hover = editor.at("hover", "nowcast.yaml", 2, 3)["contents"].to_string();
    assert!(hover.contains("The broker's host, to which manager and workers connect"), "{hover}");
}

#[test]
fn the_declarations_for_rules_have_the_keys_of_the_checklist() {
    let system = system().start();
    let payload = "{files: [a.nc, b.nc], 'at 06': {done: true, since: 2026-03-14, hours: 5, rate: 0.5}, mixed: [1, a], none: null}";
    assert_eq!(system.send("sleep", "success", payload), "ack");
    system.operate(&["generate", "types"]);
    let names = fs::read_to_string(system.path("rules/.types/system.lua")).expect("written");
    let expected = "---@field sleepyhead {files: string[], [\"at 06\"]: {done: boolean, since: Date, hours: integer, rate: number}, \
                    mixed: any[], none: any}\n---@field logs any\n";
    assert!(names.contains(expected), "{names}");
}
