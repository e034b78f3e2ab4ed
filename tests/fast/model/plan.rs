//! What can happen on a day, and random days.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// The workers by name. The registry has no `crash` for `d` and does not know `x`.
pub const WORKERS: [&str; 5] = ["a", "b", "c", "d", "x"];

/// The message types that are used; no worker has the last.
pub const TYPES: [&str; 5] = ["success", "failure", "failure late", "crash", "sucess"];

/// The cycles that are named.
pub const CYCLES: [&str; 3] = ["2026-03-14", "hindcast-12", "hindcast-13"];

/// What a launch or a message says about its cycle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum SaidCycle {
    #[default]
    Nothing,
    /// That it is of no cycle.
    None,
    Cycle(usize),
}

impl SaidCycle {
    /// What it says about one that names a cycle or does not.
    pub fn named(cycle: Option<usize>) -> Self {
        cycle.map_or(Self::Nothing, Self::Cycle)
    }

    /// The cycle; `inherited` if it says nothing.
    pub fn or_else(self, inherited: impl FnOnce() -> Option<usize>) -> Option<usize> {
        match self {
            Self::Nothing => inherited(),
            Self::None => None,
            Self::Cycle(cycle) => Some(cycle),
        }
    }
}

/// A worker's settings in the configuration: max running, timeout, retries, retry delay, max cycles.
pub type Settings = (Option<u32>, Option<i64>, Option<u32>, Option<i64>, Option<u32>);

const NONE: Settings = (None, None, None, None, None);

/// The configurations that a manager can have: the settings of each worker.
pub const CONFIGS: [[Settings; 5]; 3] = [
    [NONE; 5],
    [
        (Some(1), Some(3), Some(1), None, None),
        (Some(2), None, None, Some(4), Some(1)),
        (None, None, None, None, Some(2)),
        (None, None, Some(2), None, None),
        (None, Some(2), Some(1), None, Some(1)),
    ],
    [
        (Some(2), None, Some(2), Some(3), None),
        (Some(1), Some(5), Some(1), Some(1), None),
        (Some(1), None, None, None, Some(1)),
        NONE,
        NONE,
    ],
];

/// With the message of which worker and type a cycle is done in each of the configurations.
pub const DONE: [Option<(usize, usize)>; 3] = [None, Some((3, 0)), Some((0, 0))];

/// How many cycles may be active in each of the configurations.
pub const MAX_ACTIVE: [Option<u32>; 3] = [None, None, Some(2)];

/// What a configuration expects: worker, type, since and by in seconds of the wall clock after the day began.
pub type Expectation = (usize, usize, i64, i64);

/// What each of the configurations expects.
pub const EXPECTED: [&[Expectation]; 3] = [
    &[(0, 0, 2, 4), (0, 0, 5, 9), (1, 3, 1, 6)],
    &[],
    &[(0, 0, 1, 7), (1, 3, 3, 8), (2, 1, 2, 3), (2, 1, 9, 14)],
];

/// A launch as a rule or an operator wants it; times in seconds, `at` by the wall clock since the day began.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Launch {
    pub worker: usize,
    pub is_far: bool,
    pub is_debug: bool,
    pub delay: Option<i64>,
    pub at: Option<i64>,
    pub timeout: Option<i64>,
    pub retries: Option<u32>,
    pub retry_delay: Option<i64>,
    pub cycle: SaidCycle,
}

/// The required messages: worker, type, count.
pub type RequirementPlan = (usize, Option<usize>, u32);

/// A join as a rule asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub name: Option<usize>,
    pub wait_for: Vec<RequirementPlan>,
    pub launch: Vec<Launch>,
    pub timeout: Option<i64>,
    /// What identifies it; `None` if it counts from its opening on.
    pub scope: Option<Scope>,
}

/// Which messages count in a join, whenever they came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scope {
    Cycle(usize),
    /// Those since a time of the wall clock, in seconds after the day began.
    Since(i64),
}

/// What a worker's rule answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    Answers(Vec<Launch>, Option<Join>),
    Fails,
    IsMissing,
}

/// What a hold holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Held {
    All,
    Worker(usize),
    Far,
}

/// Something that an operator or a worker names: one of what is there, or any number.
#[derive(Debug, Clone)]
pub enum Which {
    OfThese(usize),
    Any(u64),
}

#[derive(Debug, Clone)]
pub enum Step {
    Message {
        worker: usize,
        r#type: usize,
        value: Option<i64>,
        run: Option<Which>,
        cycle: Option<usize>,
    },
    Poison {
        worker: usize,
        r#type: usize,
        value: Option<i64>,
        run: Option<Which>,
        cycle: Option<usize>,
    },
    Need {
        worker: usize,
    },
    ClearByWorker {
        worker: usize,
    },
    End {
        run: usize,
        status: i32,
    },
    /// A run reports and ends.
    Finish {
        run: usize,
        r#type: usize,
    },
    Pass {
        seconds: i64,
    },
    /// The wall clock is set.
    SetClock {
        by: i64,
    },
    /// The machine is booted again; its wall clock is then so much later.
    Reboot {
        by: i64,
    },
    Rule {
        worker: usize,
        rule: Rule,
    },
    Configure {
        config: usize,
    },
    Launch(Launch),
    Kill(Which),
    Hold {
        held: Held,
        seconds: Option<i64>,
        is_duration: bool,
    },
    Release(Which),
    Discard(Which),
    Retry(Option<Which>),
    Send {
        worker: usize,
        r#type: usize,
        value: Option<i64>,
        cycle: SaidCycle,
    },
    Set {
        worker: usize,
        value: i64,
    },
    Clear {
        force: bool,
    },
    Cancel {
        cycle: usize,
    },
    Skip {
        cycle: usize,
    },
    Resume {
        cycle: usize,
    },
    /// A cycle is rewound to a worker, by a plan that may be older than its last event.
    Rewind {
        which: Which,
        is_stale: bool,
    },
}

fn cycle() -> impl Strategy<Value = usize> {
    0..CYCLES.len()
}

fn said_cycle() -> impl Strategy<Value = SaidCycle> {
    prop_oneof![
        5 => Just(SaidCycle::Nothing),
        1 => Just(SaidCycle::None),
        2 => cycle().prop_map(SaidCycle::Cycle),
    ]
}

fn launch() -> impl Strategy<Value = Launch> {
    (
        0..5_usize,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        option::weighted(0.2, 0..6_i64),
        option::weighted(0.1, 0..40_i64),
        option::weighted(0.2, 0..6_i64),
        option::weighted(0.2, 0..3_u32),
        option::weighted(0.2, 0..5_i64),
        said_cycle(),
    )
        .prop_map(|(worker, is_far, is_debug, delay, at, timeout, retries, retry_delay, cycle)| Launch {
            worker,
            is_far,
            is_debug,
            delay,
            at,
            timeout,
            retries,
            retry_delay,
            cycle,
        })
}

fn join() -> impl Strategy<Value = Join> {
    (
        option::of(0..2_usize),
        vec((0..4_usize, option::weighted(0.3, 0..4_usize), 1..3_u32), 0..4),
        vec(launch(), 0..2),
        option::weighted(0.3, 0..10_i64),
        option::weighted(0.6, scope()),
    )
        .prop_map(|(name, wait_for, launch, timeout, scope)| Join {
            name,
            wait_for,
            launch,
            timeout,
            scope,
        })
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        2 => cycle().prop_map(Scope::Cycle),
        1 => prop::sample::select(vec![-10, 0, 3, 7]).prop_map(Scope::Since),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        8 => (vec(launch(), 0..3), option::weighted(0.5, join()))
            .prop_map(|(launches, join)| Rule::Answers(launches, join)),
        3 => Just(Rule::Fails),
        1 => Just(Rule::IsMissing),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![6 => (0..100_usize).prop_map(Which::OfThese), 1 => (0..60_u64).prop_map(Which::Any)]
}

fn value() -> impl Strategy<Value = Option<i64>> {
    option::of(0..9_i64)
}

fn rewind() -> impl Strategy<Value = Step> {
    (which(), prop::bool::weighted(0.1)).prop_map(|(which, is_stale)| Step::Rewind { which, is_stale })
}

fn step() -> impl Strategy<Value = Step> {
    let held = prop_oneof![
        2 => Just(Held::All),
        2 => (0..5_usize).prop_map(Held::Worker),
        1 => Just(Held::Far),
    ];
    prop_oneof![
        12 => (0..5_usize, 0..5_usize, value(), option::weighted(0.6, which()), option::weighted(0.2, cycle()))
            .prop_map(|(worker, r#type, value, run, cycle)| Step::Message { worker, r#type, value, run, cycle }),
        // Most messages come from runs.
        12 => (0..4_usize, value(), which(), option::weighted(0.1, cycle())).prop_map(|(r#type, value, run, cycle)| Step::Message {
            worker: usize::MAX,
            r#type,
            value,
            run: Some(run),
            cycle
        }),
        2 => (0..5_usize, 0..5_usize, value(), option::weighted(0.6, which()), option::weighted(0.2, cycle()))
            .prop_map(|(worker, r#type, value, run, cycle)| Step::Poison { worker, r#type, value, run, cycle }),
        1 => (0..5_usize).prop_map(|worker| Step::Need { worker }),
        1 => (0..5_usize).prop_map(|worker| Step::ClearByWorker { worker }),
        10 => (0..100_usize, 0..2_i32).prop_map(|(run, status)| Step::End { run, status }),
        8 => (0..5_i64).prop_map(|seconds| Step::Pass { seconds }),
        3 => prop_oneof![-20..20_i64, -4..5_i64].prop_map(|by| Step::SetClock { by }),
        1 => (-20..20_i64).prop_map(|by| Step::Reboot { by }),
        6 => (0..4_usize, rule()).prop_map(|(worker, rule)| Step::Rule { worker, rule }),
        1 => (0..CONFIGS.len()).prop_map(|config| Step::Configure { config }),
        5 => launch().prop_map(Step::Launch),
        2 => which().prop_map(Step::Kill),
        2 => (held, option::of(1..8_i64), prop::bool::ANY)
            .prop_map(|(held, seconds, is_duration)| Step::Hold { held, seconds, is_duration }),
        4 => which().prop_map(Step::Release),
        2 => which().prop_map(Step::Discard),
        3 => option::weighted(0.8, which()).prop_map(Step::Retry),
        1 => (0..5_usize, 0..5_usize, value(), said_cycle())
            .prop_map(|(worker, r#type, value, cycle)| Step::Send { worker, r#type, value, cycle }),
        1 => (0..4_usize, 0..9_i64).prop_map(|(worker, value)| Step::Set { worker, value }),
        1 => prop::bool::ANY.prop_map(|force| Step::Clear { force }),
        3 => cycle().prop_map(|cycle| Step::Cancel { cycle }),
        1 => cycle().prop_map(|cycle| Step::Skip { cycle }),
        3 => cycle().prop_map(|cycle| Step::Resume { cycle }),
        6 => rewind(),
    ]
}

/// A rule that makes a join of few messages.
fn rule_of_cycle() -> impl Strategy<Value = Rule> {
    let wait_for = vec((0..4_usize, option::weighted(0.3, Just(0_usize)), Just(1_u32)), 1..3);
    let launches = || vec((0..4_usize).prop_map(|worker| Launch { worker, ..Launch::default() }), 0..2);
    (option::of(0..2_usize), wait_for, launches(), scope(), launches()).prop_map(
        |(name, wait_for, launch, scope, returned)| {
            let join = Join { name, wait_for, launch, timeout: None, scope: Some(scope) };
            Rule::Answers(returned, Some(join))
        },
    )
}

/// A step of a day on which cycles are launched, finished and rewound.
fn step_of_cycle() -> impl Strategy<Value = Step> {
    let in_cycle = (0..4_usize, cycle()).prop_map(|(worker, cycle)| {
        Step::Launch(Launch { worker, cycle: SaidCycle::Cycle(cycle), ..Launch::default() })
    });
    prop_oneof![
        4 => step(),
        2 => in_cycle,
        4 => (0..100_usize, prop_oneof![4 => Just(0_usize), 1 => 1..4_usize])
            .prop_map(|(run, r#type)| Step::Finish { run, r#type }),
        1 => rewind(),
    ]
}

/// A random day: the rules as it begins, and what happens.
pub type Day = (Vec<Rule>, usize, Vec<Step>);

pub fn day() -> impl Strategy<Value = Day> {
    let of_cycles = (vec(rule_of_cycle(), 4), 0..CONFIGS.len(), vec(step_of_cycle(), 1..50));
    prop_oneof![2 => (vec(rule(), 4), 0..CONFIGS.len(), vec(step(), 1..50)), 1 => of_cycles]
}
