//! The control socket, and the manager's decisions on what comes through it: requests of operators, among them messages of workers
//! and times that pass.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nowcast::control::{Call, Control, Listener};
use nowcast_core::{Answer, Event};
use tempfile::TempDir;

use super::input::Input;
use super::system::System;

/// The end of a part's size, well below what the socket buffers.
const LARGEST: usize = 32_768;

thread_local! {
    static SOCKET: RefCell<Socket> = RefCell::new(Socket::bind());
}

struct Socket {
    folder: TempDir,
    control: Control,
}

/// Parts that are divided by lines of `%%`: `+SECONDS`, a request in JSON, or else a message in YAML.
pub fn check(data: &[u8]) {
    let mut system = System::in_use();
    let mut input = Input(data);
    while !input.is_empty() {
        let part = input.part();
        if let Some(seconds) = part.strip_prefix(b"+").and_then(|text| std::str::from_utf8(text).ok()) {
            system.pass(seconds.parse().unwrap_or_default());
        } else if part.starts_with(b"{\"") {
            SOCKET.with_borrow_mut(|socket| socket.serve(&part[..part.len().min(LARGEST)], &mut system));
        } else {
            system.receive(part);
        }
        system.pass(0);
    }
}

impl Socket {
    fn bind() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let control = Control::bind(folder.path(), Listener::Manager).expect("a control socket");
        Self { folder, control }
    }

    /// Send a request as an operator's command does, and get the answer.
    fn serve(&mut self, request: &[u8], system: &mut System) {
        let mut operator = UnixStream::connect(self.folder.path().join("control")).expect("a connection");
        operator.write_all(&[request, b"\n"].concat()).expect("room for a short request");
        let expected = match self.control.receive::<nowcast_core::Command>().as_slice() {
            [] => None,
            [(id, call)] => {
                let answer = answer(call, system);
                self.control.answer(*id, &answer);
                Some(answer)
            }
            calls => panic!("{} requests by one connection", calls.len()),
        };
        let mut text = Vec::new();
        operator.read_to_end(&mut text).expect("an answer");
        let answered: Answer = serde_json::from_slice(&text).expect("the JSON of an answer");
        match expected {
            None => assert!(!answered.done, "{answered:?}"),
            Some(expected) if expected.text.len() <= 64_000 => assert_eq!(answered, expected),
            Some(expected) => assert_eq!(answered.done, expected.done),
        }
    }
}

fn answer(call: &Call, system: &mut System) -> Answer {
    let json = serde_json::to_string(call).expect("JSON");
    let again: Call = serde_json::from_str(&json).expect("the JSON of a request");
    assert_eq!(again.command, call.command);
    let Some(command) = again.command else { return Answer::done("works", Vec::new()) };
    let id = nowcast_core::CallId(1);
    let event = Event::Command { call: Some(id), user: again.user, command, historical_checklist: None };
    let mut outcome = system.decide(event);
    assert_eq!(outcome.answers.len(), 1, "every command gets one answer");
    outcome.answers.remove(0)
}
