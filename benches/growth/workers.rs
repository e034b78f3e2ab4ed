//! Message cost against the number of workers that wait for a reply.

use super::curve::Curve;
use super::page::Section;
use super::settings::Settings;
use super::subject::Subject;
use super::texts::count;
use crate::support::system::system;

/// Workers, each with a connection.
const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];

pub(super) fn measure(settings: &Settings) -> Vec<Section> {
    let subjects: Vec<Subject> = settings
        .of(&SIZES)
        .into_iter()
        .map(|workers| Subject::with_workers(workers, count(workers as u64), system().start()))
        .collect();
    let curve = Curve {
        name: "workers",
        title: "Waiting workers",
        axis: "workers",
        many: "all waiting",
        setup: "Each worker has a connection. First another one sends one message at a time while they are connected; then all of them wait \
            for a reply, and each sends its next message when it has that.",
        reason: "The more workers wait, the more messages share a commit.",
        is_logarithmic: true,
    };
    vec![curve.measure(settings, &subjects)]
}
