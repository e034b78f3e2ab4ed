//! The subjects of a curve, measured in turns, as a section of the page.

use super::chart::{Line, Plot};
use super::page::Section;
use super::settings::Settings;
use super::subject::{Cost, Subject};
use super::texts::{factor, per_second, table, time};

/// A curve that is yet to be measured.
pub struct Curve {
    pub name: &'static str,
    pub title: &'static str,
    /// What the sizes are, for the axis and the first column.
    pub axis: &'static str,
    /// What is in flight when many are.
    pub many: &'static str,
    /// What is the same or different for the subjects.
    pub setup: &'static str,
    /// Why the curve is as it is.
    pub reason: &'static str,
    /// Whether the sizes are far apart.
    pub is_logarithmic: bool,
}

impl Curve {
    /// Measure the subjects in turns, so that what else happens on the machine meets all of them.
    pub fn measure(self, settings: &Settings, subjects: &[Subject]) -> Section {
        let round = || subjects.iter().map(|subject| subject.measure(settings.single, settings.many));
        let mut costs: Vec<Cost> = round().collect();
        for _ in 1..settings.rounds {
            costs = costs.into_iter().zip(round()).map(|(best, cost)| best.best(cost)).collect();
        }
        subjects.iter().for_each(Subject::check);
        self.section(subjects, &costs)
    }

    fn section(self, subjects: &[Subject], costs: &[Cost]) -> Section {
        let first = costs[0];
        let single = |cost: &Cost| cost.single.div_duration_f64(first.single);
        let many = |cost: &Cost| first.rate / cost.rate;
        let processor = |cost: &Cost| cost.processor.div_duration_f64(first.processor);
        let head = [
            self.axis,
            "one at a time",
            "relative cost",
            self.many,
            "relative cost",
            "processor",
            "relative cost",
            "longest pause",
        ];
        let rows = subjects.iter().zip(costs).map(|(subject, cost)| {
            vec![
                subject.label.clone(),
                time(cost.single),
                factor(single(cost)),
                per_second(cost.rate),
                factor(many(cost)),
                time(cost.processor),
                factor(processor(cost)),
                time(cost.pause),
            ]
        });
        let (smallest, largest) = (&subjects[0].label, &subjects[subjects.len() - 1].label);
        let last = &costs[costs.len() - 1];
        let reading = format!(
            "From {smallest} to {largest}, a message costs {} times as much one at a time, {} times as much with {}, and {} times the \
             processor time. {}",
            factor(single(last)),
            factor(many(last)),
            self.many,
            factor(processor(last)),
            self.reason
        );
        let sizes = subjects.iter().map(|subject| {
            let at = if self.is_logarithmic { subject.size.log10() } else { subject.size };
            (at, subject.label.clone())
        });
        let lines = vec![
            Line { name: "one at a time".to_owned(), values: costs.iter().map(single).collect() },
            Line { name: self.many.to_owned(), values: costs.iter().map(many).collect() },
            Line { name: "processor".to_owned(), values: costs.iter().map(processor).collect() },
        ];
        Section {
            name: self.name,
            title: self.title,
            setup: self.setup.to_owned(),
            table: table(&head, rows),
            reading,
            plot: Plot {
                x_title: self.axis,
                y_title: "relative cost of a message",
                sizes: sizes.collect(),
                lines,
            },
        }
    }
}
