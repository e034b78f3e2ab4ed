//! `nowcast rules test`: runs the user's tests of the rules.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use super::RulesOptions;
use crate::cli::{USAGE, operate, print};
use crate::rules::RuleSet;
use crate::trial::test::{self, Coverage, TestReport};

/// The help text after the options.
const NOTES: &str = "Tests are in the files tests/*.lua beside the rules.";

#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    which: RulesOptions,
    /// Run only tests whose name contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only the tests in this file; repeatable
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show lines of the rules and message types that no test covers
    #[arg(long)]
    coverage: bool,
    /// Fail if the tests cover less than this part of the rules' lines
    #[arg(long, value_name = "PERCENT")]
    min_coverage: Option<f64>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match report(args) {
        Ok((report, texts)) => show(args, &report, &texts),
        Err(error) => {
            print::error(error.as_ref());
            ExitCode::from(USAGE)
        }
    }
}

/// Run the tests. Return the report and the texts of the rules' files, whose lines are shown.
fn report(args: &Args) -> anyhow::Result<(TestReport, Vec<(String, String)>)> {
    let config = operate::read(&args.which.common.config.path())?;
    let set = RuleSet::of(&config);
    let place = set.place()?;
    let edited = args.which.rules.as_deref();
    let has_coverage = args.coverage || args.min_coverage.is_some();
    let engine = if has_coverage { set.load_noting_lines(edited) } else { set.load(edited) };
    let engine = engine.context("cannot load the rules")?;
    let texts = engine.files().into_iter().map(|file| (file.name, file.text)).collect();
    let files = if args.files.is_empty() { test::files(&place)? } else { args.files.clone() };
    if files.is_empty() {
        let folder = place.with_file_name(test::FOLDER);
        let folder = folder.display();
        let first = test::example(&config);
        anyhow::bail!("there are no tests in {folder}; start with {folder}/first.lua:\n\n{first}");
    }
    let config = Arc::new(config);
    let report = test::run(&config, engine, &place, &files, args.filter.as_deref())?;
    match &args.filter {
        Some(filter) if report.tests.is_empty() => anyhow::bail!("no test has {filter:?} in its name"),
        None if report.tests.is_empty() => {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            let first = test::example(&config);
            anyhow::bail!("there are no tests in {}; start with:\n\n{first}", files.join(", "));
        }
        _ => {}
    }
    Ok((report, texts))
}

/// The report for programs.
#[derive(serde::Serialize)]
struct TestDocument<'a> {
    passed: usize,
    failed: usize,
    #[serde(flatten)]
    report: &'a TestReport,
}

fn show(args: &Args, report: &TestReport, texts: &[(String, String)]) -> ExitCode {
    let too_little =
        args.min_coverage.zip(report.coverage.as_ref()).filter(|(least, coverage)| coverage.percent < *least);
    let printed = if args.which.common.json {
        print::json(&TestDocument { passed: report.passed(), failed: report.failed(), report })
    } else {
        print::text(&text(report, texts))
    };
    if let Some((least, coverage)) = too_little {
        eprintln!("tests cover {:.1} % of the rules' lines, less than {least} %", coverage.percent);
        return ExitCode::FAILURE;
    }
    if report.failed() > 0 { ExitCode::FAILURE } else { printed }
}

fn text(report: &TestReport, texts: &[(String, String)]) -> String {
    let coverage = report.coverage.as_ref().map(|coverage| coverage_text(coverage, texts));
    format!("{}{}\n{}\n", report.text(|_| true), coverage.unwrap_or_default(), report.summary())
}

fn coverage_text(coverage: &Coverage, texts: &[(String, String)]) -> String {
    let mut text = String::from("\ncoverage\n");
    for file in &coverage.files {
        let _ =
            writeln!(text, "  {:5.1} %  {} ({} of {} lines)", file.percent, file.file, file.ran, file.lines);
        let source = texts.iter().find(|(name, _)| *name == file.file).map_or("", |(_, text)| text.as_str());
        for range in &file.missed {
            for (number, line) in
                (1_usize..).zip(source.lines()).skip(range.from - 1).take(range.to + 1 - range.from)
            {
                let _ = writeln!(text, "           {number:4} | {line}");
            }
        }
    }
    let _ = writeln!(text, "  {:5.1} %  in total", coverage.percent);
    if !coverage.never_sent.is_empty() {
        text += "  message types that no test sends:\n";
    }
    for of_worker in coverage.never_sent.chunk_by(|a, b| a.0 == b.0) {
        let types: Vec<&str> = of_worker.iter().map(|(_, r#type)| r#type.as_str()).collect();
        let _ = writeln!(text, "           {}: {}", of_worker[0].0, types.join(", "));
    }
    text
}
