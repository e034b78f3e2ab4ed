//! The figures of a soak: a row for each sixth of its duration, and whether memory and descriptors are flat.

use std::fmt;
use std::time::Duration;

use crate::meter::{Sample, Usage};
use crate::soak::Soak;

/// How many parts the duration is divided into.
const PARTS: u32 = 6;

/// How much the median of a later sixth may be above that of the second one, in kB of memory.
const MEMORY_SLACK: u64 = 8 * 1024;

/// The same in descriptors.
const DESCRIPTOR_SLACK: u64 = 16;

pub struct Figures {
    rows: Vec<Row>,
    all: Latencies,
}

/// One sixth.
struct Row {
    until: Duration,
    acks: u64,
    starts: u64,
    kills: u64,
    reloads: u64,
    commands: u64,
    latencies: Latencies,
    /// Medians.
    broker: Option<Usage>,
    manager: Option<Usage>,
}

/// Latencies of replies between faults.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn of(latencies: impl Iterator<Item = Duration>) -> Self {
        let mut latencies: Vec<Duration> = latencies.collect();
        latencies.sort_unstable();
        Self(latencies)
    }

    fn percentile(&self, percent: usize) -> String {
        let at = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or_else(|| "-".to_owned(), |latency| format!("{:.1}", latency.as_secs_f64() * 1e3))
    }
}

impl Figures {
    pub fn of(soak: &Soak) -> Self {
        let samples = soak.meter.samples();
        let latencies = soak.meter.quiet_latencies();
        let part = soak.settings.duration / PARTS;
        let rows = (0..PARTS).map(|number| {
            let (from, until) = (part * number, part * (number + 1));
            let is_last = number + 1 == PARTS;
            let is_within = |at: Duration| at >= from && (at < until || is_last);
            let within: Vec<&Sample> = samples.iter().filter(|sample| is_within(sample.at)).collect();
            let latencies = latencies.iter().filter(|(sent, _)| is_within(*sent - soak.begin));
            let before = samples.iter().rfind(|sample| sample.at < from);
            let difference = |count: fn(&Sample) -> u64| {
                within.last().map_or(0, |last| count(last) - before.map_or(0, count))
            };
            Row {
                until,
                acks: difference(|sample| sample.counts.acks),
                starts: difference(|sample| sample.counts.starts),
                kills: difference(|sample| sample.kills),
                reloads: difference(|sample| sample.reloads),
                commands: difference(|sample| sample.commands),
                latencies: Latencies::of(latencies.map(|(_, latency)| *latency)),
                broker: median(within.iter().filter_map(|sample| sample.broker)),
                manager: median(within.iter().filter_map(|sample| sample.manager)),
            }
        });
        Self { rows: rows.collect(), all: Latencies::of(latencies.iter().map(|(_, latency)| *latency)) }
    }

    /// Return what grew. Medians of the sixths are compared, since single values depend on what happens at that moment.
    /// The first sixth does not count: caches fill.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let daemons: [(&str, fn(&Row) -> Option<Usage>); 2] =
            [("broker", |row| row.broker), ("manager", |row| row.manager)];
        for (name, usage) in daemons {
            let second = self.rows.get(1).and_then(usage);
            for (row, before) in self.rows.iter().skip(2).filter_map(|row| Some((usage(row)?, second?))) {
                if row.kilobytes > before.kilobytes + MEMORY_SLACK
                    || row.descriptors > before.descriptors + DESCRIPTOR_SLACK
                {
                    problems.push(format!("the {name} grew from {before:?} in the second sixth to {row:?}"));
                }
            }
        }
        problems
    }
}

fn median(usages: impl Iterator<Item = Usage>) -> Option<Usage> {
    let usages: Vec<Usage> = usages.collect();
    let middle = |value: fn(&Usage) -> u64| {
        let mut values: Vec<u64> = usages.iter().map(value).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    Some(Usage {
        kilobytes: middle(|usage| usage.kilobytes)?,
        descriptors: middle(|usage| usage.descriptors)?,
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "until  messages launches kills reloads commands  ack ms p50    p99  broker MB files  manager MB files"
        )?;
        let megabytes = |usage: Option<Usage>| {
            usage.map_or_else(|| "-".to_owned(), |usage| format!("{:.1}", usage.kilobytes as f64 / 1024.0))
        };
        let descriptors = |usage: Option<Usage>| {
            usage.map_or_else(|| "-".to_owned(), |usage| usage.descriptors.to_string())
        };
        for row in &self.rows {
            writeln!(
                out,
                "{:>4} s {:>9} {:>8} {:>5} {:>7} {:>8} {:>11} {:>6} {:>10} {:>5} {:>11} {:>5}",
                row.until.as_secs(),
                row.acks,
                row.starts,
                row.kills,
                row.reloads,
                row.commands,
                row.latencies.percentile(50),
                row.latencies.percentile(99),
                megabytes(row.broker),
                descriptors(row.broker),
                megabytes(row.manager),
                descriptors(row.manager),
            )?;
        }
        let sum = |count: fn(&Row) -> u64| self.rows.iter().map(count).sum::<u64>();
        writeln!(
            out,
            "{:>6} {:>9} {:>8} {:>5} {:>7} {:>8} {:>11} {:>6}",
            "all",
            sum(|row| row.acks),
            sum(|row| row.starts),
            sum(|row| row.kills),
            sum(|row| row.reloads),
            sum(|row| row.commands),
            self.all.percentile(50),
            self.all.percentile(99),
        )
    }
}
