//! The real `PyYAML`, asked over a pipe.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pyyaml::Value;
use serde_json::{Value as Json, json};

use super::codec;
use test_venv::venv;

/// A Python process that answers requests until it is dropped.
pub struct PyYaml {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The value that `PyYAML` read from a text.
// The texts of the refusals help to read a failed test.
#[allow(dead_code)]
#[derive(Debug)]
pub enum Loaded {
    Value(Value),
    /// It raised an error.
    Refused(String),
    /// A value that ours documents it cannot hold: why.
    Unlike(String),
}

impl PyYaml {
    pub fn start() -> Self {
        let mut process = Command::new(venv())
            .args(["-c", include_str!("process.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Self { process, requests, answers }
    }

    fn ask(&mut self, requests: &[Json]) -> Vec<Json> {
        let pipe = self.requests.as_mut().expect("the pipe is open until the end");
        writeln!(pipe, "{}", Json::from(requests)).expect("Python reads requests");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("Python answers");
        let Json::Array(answers) = serde_json::from_str(&line).expect("the answer is JSON") else {
            panic!("no list of answers: {line}");
        };
        assert_eq!(answers.len(), requests.len());
        answers
    }

    /// `yaml.safe_load` of each text.
    pub fn load(&mut self, texts: &[String]) -> Vec<Loaded> {
        let requests: Vec<Json> = texts.iter().map(|text| json!({"do": "load", "text": text})).collect();
        let loaded = |answer: Json| match (&answer["value"], &answer["error"], &answer["unlike"]) {
            (_, Json::String(error), _) => Loaded::Refused(error.clone()),
            (_, _, Json::String(why)) => Loaded::Unlike(why.clone()),
            (value, _, _) => Loaded::Value(codec::decode(value)),
        };
        self.ask(&requests).into_iter().map(loaded).collect()
    }

    /// `yaml.dump` of each value with its options.
    pub fn dump(&mut self, values: &[(Value, Json)]) -> Vec<String> {
        let requests: Vec<Json> = values
            .iter()
            .map(|(value, options)| json!({"do": "dump", "value": codec::encode(value), "options": options}))
            .collect();
        self.texts(&requests)
    }

    /// `pprint.pformat` or `repr` of each value.
    pub fn shown(&mut self, how: &str, values: &[Value]) -> Vec<String> {
        let requests: Vec<Json> =
            values.iter().map(|value| json!({"do": how, "value": codec::encode(value)})).collect();
        self.texts(&requests)
    }

    fn texts(&mut self, requests: &[Json]) -> Vec<String> {
        let text =
            |answer: Json| answer["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}")).to_owned();
        self.ask(requests).into_iter().map(text).collect()
    }
}

impl Drop for PyYaml {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.requests = None;
        let _ = self.process.wait();
    }
}
