//! The figures of a soak: a row for each sixth of its duration, and whether memory and descriptors are flat.

use std::fmt;
use std::time::Duration;

use crate::meter::{COUNTED, MEASURED, Sample, Usage};
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
    counts: [u64; COUNTED.len()],
    latencies: Latencies,
    /// Medians.
    usages: [Option<Usage>; MEASURED.len()],
}

/// Latencies of replies between faults, in order.
struct Latencies(Vec<Duration>);

impl Figures {
    pub fn of(soak: &Soak) -> Self {
        let samples = soak.meter.samples();
        let latencies = soak.meter.quiet_latencies();
        let part = soak.settings.duration / PARTS;
        let row = |number| {
            let (from, until) = (part * number, part * (number + 1));
            let is_within = |at: Duration| at >= from && (at < until || number + 1 == PARTS);
            let within: Vec<&Sample> = samples.iter().filter(|sample| is_within(sample.at)).collect();
            let before = samples
                .iter()
                .rfind(|sample| sample.at < from)
                .map_or([0; COUNTED.len()], |sample| sample.counts);
            let after = within.last().map_or(before, |sample| sample.counts);
            let latencies = latencies.iter().filter(|(sent, _)| is_within(*sent - soak.begin));
            Row {
                until,
                counts: std::array::from_fn(|count| after[count] - before[count]),
                latencies: Latencies::of(latencies.map(|(_, latency)| *latency)),
                usages: std::array::from_fn(|daemon| {
                    median(within.iter().filter_map(|sample| sample.usages[daemon]))
                }),
            }
        };
        Self {
            rows: (0..PARTS).map(row).collect(),
            all: Latencies::of(latencies.iter().map(|(_, latency)| *latency)),
        }
    }

    /// Return what grew. Medians of the sixths are compared, since single values depend on what happens at that moment.
    /// The first sixth does not count: caches fill.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let Some(second) = self.rows.get(1) else { return problems };
        for row in self.rows.iter().skip(2) {
            for (name, (before, now)) in MEASURED.iter().zip(second.usages.iter().zip(&row.usages)) {
                let (Some(before), Some(now)) = (before, now) else { continue };
                if now.kilobytes > before.kilobytes + MEMORY_SLACK
                    || now.descriptors > before.descriptors + DESCRIPTOR_SLACK
                {
                    problems.push(format!("the {name} grew from {before:?} in the second sixth to {now:?}"));
                }
            }
        }
        problems
    }
}

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
        let more = ["ack p50 ms", "ack p99 ms", "broker MB", "files", "manager MB", "files"];
        let titles = std::iter::once("until").chain(COUNTED).chain(more);
        write_row(out, titles.map(str::to_owned))?;
        for row in &self.rows {
            let until = std::iter::once(format!("{} s", row.until.as_secs()));
            let counts = row.counts.iter().map(u64::to_string);
            let percentiles = [50, 99].map(|percent| row.latencies.percentile(percent));
            let usages = row.usages.iter().flat_map(|usage| {
                let missing = || "-".to_owned();
                [
                    usage.map_or_else(missing, |usage| megabytes(usage.kilobytes)),
                    usage.map_or_else(missing, |usage| usage.descriptors.to_string()),
                ]
            });
            write_row(out, until.chain(counts).chain(percentiles).chain(usages))?;
        }
        let sums = (0..COUNTED.len()).map(|count| self.rows.iter().map(|row| row.counts[count]).sum::<u64>());
        let percentiles = [50, 99].map(|percent| self.all.percentile(percent));
        write_row(
            out,
            std::iter::once("all".to_owned()).chain(sums.map(|sum| sum.to_string())).chain(percentiles),
        )
    }
}

fn megabytes(kilobytes: u64) -> String {
    format!("{}.{}", kilobytes / 1024, kilobytes % 1024 * 10 / 1024)
}

fn write_row(out: &mut fmt::Formatter<'_>, cells: impl Iterator<Item = String>) -> fmt::Result {
    for cell in cells {
        write!(out, "{cell:>10} ")?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures whose broker used so many kB and descriptors in each sixth.
    fn figures(broker: &[(u64, u64)]) -> Figures {
        let row = |(kilobytes, descriptors): &(u64, u64)| Row {
            until: Duration::ZERO,
            counts: [0; COUNTED.len()],
            latencies: Latencies::of(std::iter::empty()),
            usages: [Some(Usage { kilobytes: *kilobytes, descriptors: *descriptors }), None],
        };
        Figures { rows: broker.iter().map(row).collect(), all: Latencies::of(std::iter::empty()) }
    }

    #[test]
    fn what_is_flat_after_the_first_sixth_passes() {
        let flat = figures(&[(1_000, 5), (9_000, 20), (9_000 + MEMORY_SLACK, 20 + DESCRIPTOR_SLACK), (1, 1)]);
        assert_eq!(flat.problems(), Vec::<String>::new());
    }

    #[test]
    fn growth_of_memory_and_of_descriptors_is_found() {
        let memory = figures(&[(1_000, 5), (9_000, 20), (9_001 + MEMORY_SLACK, 20)]);
        assert_eq!(memory.problems().len(), 1);
        let descriptors = figures(&[(1_000, 5), (9_000, 20), (9_000, 21 + DESCRIPTOR_SLACK)]);
        assert!(descriptors.problems()[0].starts_with("the broker grew"));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let latencies = Latencies::of((1..=200).rev().map(Duration::from_millis));
        assert_eq!(
            (latencies.percentile(50), latencies.percentile(99)),
            ("101.0".to_owned(), "199.0".to_owned())
        );
        assert_eq!(Latencies::of(std::iter::empty()).percentile(50), "-");
    }
}
