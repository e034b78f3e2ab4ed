//! `nowcast rules eval`: calls rules with one case from options, or with many from standard input.

use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use jiff::ZonedDateTime;

use super::RulesOptions;
use crate::cli::{USAGE, cycle_option, print};
use crate::rules::Engine;
use crate::trial::eval::{self, Case, CaseAnswer, CaseMessage, Defaults};
use crate::trial::json::JsonValue;
use crate::trial::live;
use crate::trial::show::{launch, scope};
use nowcast_core::{Cycle, ReturnedLaunches, RuleCallResult};
use pyyaml::Value;

/// The number of bytes that are read at once.
const READ_AT_ONCE: usize = 1 << 16;

/// The help text after the options.
const NOTES: &str = "Without --worker, read cases from standard input, one JSON object a line, and print one JSON \
    object for each:\n{\"function\": …, \"msg\": {\"source\", \"type\", \"payload\", \"cycle\"}, \
    \"config\": …, \"checklist\": …, \"now\": …, \"last\": [{\"worker\", \"type\", \"cycle\", \"time\", \"payload\"}]}";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    which: RulesOptions,
    /// Worker whose rule is called
    #[arg(long, value_name = "NAME", requires = "type")]
    worker: Option<String>,
    /// Message type
    #[arg(long, value_name = "TYPE", requires = "worker")]
    r#type: Option<String>,
    /// Payload as YAML, or @FILE
    #[arg(long, value_name = "YAML", requires = "worker")]
    payload: Option<String>,
    /// Cycle of the message
    #[arg(long, value_name = "ID", requires = "worker", value_parser = cycle_option::label)]
    cycle: Option<Cycle>,
    /// Checklist as YAML, or @FILE [default: the current checklist]
    #[arg(long, value_name = "YAML")]
    checklist: Option<String>,
    /// Time of the message, such as 2026-03-14T05:15 [default: the current time]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (config, engine) = match args.which.load() {
        Ok(loaded) => loaded,
        Err(status) => return status,
    };
    let done = args.defaults(&config).and_then(|defaults| match (&args.worker, &args.r#type) {
        (Some(worker), Some(r#type)) => one(args, worker, r#type, &engine, &defaults),
        _ if io::stdin().is_terminal() => {
            anyhow::bail!("give --worker and --type, or one case as JSON on each line of standard input")
        }
        _ => many(&engine, &defaults),
    });
    done.unwrap_or_else(|error| {
        print::error(error.as_ref());
        ExitCode::from(USAGE)
    })
}

impl Args {
    fn defaults(&self, config: &crate::config::Config) -> anyhow::Result<Defaults> {
        let now = ZonedDateTime::now();
        let given = self.now.as_deref().map(|text| eval::moment(text, now.time_zone())).transpose();
        let (checklist, cycles) = match &self.checklist {
            None => (live::checklist(config)?, live::cycles(config)?),
            Some(given) => {
                let checklist = read_yaml("checklist", given)?;
                anyhow::ensure!(
                    checklist.as_map().is_some(),
                    "the checklist must be a mapping; --checklist @FILE reads one from a file"
                );
                // A given checklist needs no journal.
                (checklist, live::cycles(config).unwrap_or_default())
            }
        };
        let now = given.map_err(anyhow::Error::msg)?.unwrap_or(now);
        Ok(Defaults { config: config.value.clone(), checklist, cycles, now })
    }
}

/// Read YAML from the command line, or from a file.
fn read_yaml(what: &str, given: &str) -> anyhow::Result<Value> {
    let text = match given.strip_prefix('@') {
        Some(file) => std::fs::read(file).with_context(|| format!("cannot read the {what} from {file}"))?,
        None => given.as_bytes().to_vec(),
    };
    pyyaml::read_bytes(&text).with_context(|| format!("the {what} is not valid YAML"))
}

/// Call a rule with one case from the command line. The exit status is 1 if the rule failed.
fn one(
    args: &Args,
    worker: &str,
    r#type: &str,
    engine: &Engine,
    defaults: &Defaults,
) -> anyhow::Result<ExitCode> {
    let payload = args.payload.as_deref().map(|given| read_yaml("payload", given)).transpose()?;
    let msg = CaseMessage {
        source: Some(worker.to_owned()),
        r#type: r#type.to_owned(),
        payload: JsonValue(payload.unwrap_or_default()),
        cycle: args.cycle.clone(),
    };
    let call = Case { msg, ..Case::default() }.call(engine, defaults).map_err(anyhow::Error::msg)?;
    let failed = call.result.is_err();
    let printed = if args.which.common.json {
        print::status(print::write(line(&CaseAnswer::from(call))?.as_bytes()))
    } else {
        print::text(&text(&call))
    };
    Ok(if failed { ExitCode::FAILURE } else { printed })
}

/// Print a line of JSON for each line of JSON, in order.
fn many(engine: &Engine, defaults: &Defaults) -> anyhow::Result<ExitCode> {
    let mut input = BufReader::with_capacity(READ_AT_ONCE, io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    let mut bytes = Vec::new();
    loop {
        // A program may wait for the result before it sends the next case.
        let flushed = if input.buffer().is_empty() { output.flush() } else { Ok(()) };
        if flushed.is_err() {
            return Ok(print::status(flushed));
        }
        bytes.clear();
        if input.read_until(b'\n', &mut bytes).context("cannot read standard input")? == 0 {
            return Ok(print::status(output.flush()));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let answer = match Case::read(&bytes) {
            Ok(case) => case.answer(engine, defaults),
            Err(error) => CaseAnswer::Failed { error },
        };
        if let Err(error) = output.write_all(line(&answer)?.as_bytes()) {
            return Ok(print::status(Err(error)));
        }
    }
}

fn line(answer: &CaseAnswer) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string(answer)?))
}

/// Return the result of a call as text for a person.
fn text(call: &RuleCallResult) -> String {
    let mut lines = Vec::new();
    if let Some(place) = &call.location {
        let read = if call.keys_read.is_empty() { "nothing".to_owned() } else { call.keys_read.join(", ") };
        lines.push(format!("rule    {place}; it reads {read}"));
    }
    match &call.result {
        Ok(ReturnedLaunches { next_workers, join }) => {
            lines.extend(next_workers.iter().map(|worker| format!("launch  {}", launch(worker))));
            if let Some(join) = join {
                let requires: Vec<String> = join.wait_for.iter().map(ToString::to_string).collect();
                let name = join.name.as_deref().map(|name| format!("{name} ")).unwrap_or_default();
                let scope = scope(join).map(|(key, value)| format!("({key} {value}) ")).unwrap_or_default();
                lines.push(format!("join    {name}{scope}waits for {}", requires.join(", ")));
                lines.extend(join.launch.iter().map(|worker| format!("  then  {}", launch(worker))));
            } else if next_workers.is_empty() {
                lines.push("launch  nothing".to_owned());
            }
        }
        Err(error) => lines.extend(error.to_string().lines().map(|line| format!("error   {line}"))),
    }
    if call.lacks_notes {
        lines.push(
            "last    finds nothing here; give messages as `last` of a case on standard input".to_owned(),
        );
    }
    let logged = call
        .log
        .iter()
        .flat_map(|line| line.text.lines().map(move |text| format!("log     {} {text}", line.level)));
    lines.extend(logged);
    lines.push(String::new());
    lines.join("\n")
}
