//! Steady time: how long something took, whatever is done to the wall clock meanwhile.
//!
//! An operator, NTP or a dead battery may set the wall clock by hours. Delays, timeouts and other spans must not notice, so they are
//! counted in *steady time*. It starts with the wall clock, passes as the machine's boot-time clock does, and continues from one
//! boot of the machine to the next by the wall clock. Each step of the wall clock and each boot is recorded as a [`ClockReading`].
//! Nothing here reads a clock.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, SignedDurationRound, Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::decision_time::{BootTime, DecisionTime, NotedTime};

/// A jump of the wall clock against the boot-time clock from which on it is reported. Smaller ones do not matter to an operator;
/// spans do not follow them either.
pub const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(5);

/// A jump from which on it is recorded: more than the time between the reading of both clocks.
const RECORDED_STEP: SignedDuration = SignedDuration::from_millis(100);

/// The shortest time between two boots that counts: a boot takes longer.
const SHORTEST_OFF: SignedDuration = SignedDuration::from_secs(1);

/// The longest time between two boots that counts. More is rather a wrong clock than a machine that was off, and a wrong clock must
/// not make the whole journal look old.
pub const LONGEST_OFF: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A point of steady time. It is written as the time that the wall clock would show if it had never been set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Steady(pub Timestamp);

impl Steady {
    /// Return the point a span later, or the end of the calendar if that is earlier.
    #[must_use]
    pub fn after(self, span: SignedDuration) -> Self {
        Self(later(self.0, span))
    }

    /// Return the point a span later; `None` if that is beyond the end of the calendar, and so never comes.
    #[must_use]
    pub fn checked_after(self, span: SignedDuration) -> Option<Self> {
        self.0.checked_add(span).ok().map(Self)
    }

    /// Return how long ago an earlier point was. It is never negative.
    #[must_use]
    pub fn since(self, earlier: Self) -> SignedDuration {
        self.0.duration_since(earlier.0).max(SignedDuration::ZERO)
    }
}

/// One moment by the wall clock and in steady time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredTimePoint", into = "StoredTimePoint")]
pub struct TimePoint {
    /// By the wall clock, as people see it.
    pub wall: Timestamp,
    /// In steady time, for spans.
    pub steady: Steady,
}

/// A moment as the journal stores it. Entries that are older than steady time have the wall clock only.
#[derive(Serialize, Deserialize)]
struct StoredTimePoint {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steady: Option<Steady>,
}

impl From<StoredTimePoint> for TimePoint {
    fn from(StoredTimePoint { at, steady }: StoredTimePoint) -> Self {
        Self { wall: at, steady: steady.unwrap_or(Steady(at)) }
    }
}

impl From<TimePoint> for StoredTimePoint {
    fn from(TimePoint { wall, steady }: TimePoint) -> Self {
        Self { at: wall, steady: Some(steady).filter(|steady| steady.0 != wall) }
    }
}

impl TimePoint {
    /// Create a moment of which only the wall clock is known.
    #[must_use]
    pub const fn by_wall_clock(wall: Timestamp) -> Self {
        Self { wall, steady: Steady(wall) }
    }

    /// Return the time that the wall clock, as it is set at this moment, shows at a point of steady time.
    #[must_use]
    pub fn wall_at(&self, steady: Steady) -> Timestamp {
        later(self.wall, steady.0.duration_since(self.steady.0))
    }

    /// Return the point of steady time at which the wall clock, as it is set at this moment, shows a time.
    #[must_use]
    pub fn steady_at(&self, wall: Timestamp) -> Steady {
        Steady(later(self.steady.0, wall.duration_since(self.wall)))
    }
}

/// The present moment, and where the boot began in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the wall clock and in steady time.
    pub time: TimePoint,
    /// The steady time of the first reading of this boot.
    boot_began: Steady,
}

impl std::ops::Deref for Now {
    type Target = TimePoint;

    fn deref(&self) -> &Self::Target {
        &self.time
    }
}

impl Now {
    /// Create a present of which only the wall clock is known.
    #[must_use]
    pub const fn by_wall_clock(wall: Timestamp) -> Self {
        Self { time: TimePoint::by_wall_clock(wall), boot_began: Steady(Timestamp::MIN) }
    }

    /// Create a present that is in no boot.
    #[cfg(test)]
    pub(crate) fn at(wall: Timestamp, steady: Steady) -> Self {
        Self { time: TimePoint { wall, steady }, ..Self::by_wall_clock(wall) }
    }

    /// Return the time that the wall clock, as it is set now, would have shown at an earlier moment. In an earlier boot of the machine
    /// it is what it did show.
    #[must_use]
    pub fn wall_of(&self, wall: Timestamp, steady: Option<Steady>) -> Timestamp {
        steady.filter(|steady| *steady >= self.boot_began).map_or(wall, |steady| self.wall_at(steady))
    }
}

/// Both clocks at one moment, and the steady time then: the first moment of a boot, or the first after a step of the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot-time clock.
    #[serde(flatten)]
    pub boot_time: BootTime,
    /// The steady time.
    pub steady: Steady,
    /// The steady time of the first reading of this boot.
    pub boot_began: Steady,
    /// The time that the wall clock would have shown without the step, if that is reported. After a boot with a clock that is behind the
    /// last event, it is the time of that event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_from: Option<Timestamp>,
}

impl ClockReading {
    /// Return the steady time at a moment of this boot; `None` if that is of another boot. Without a boot-time clock the wall clock
    /// counts.
    fn steady_at(&self, time: &DecisionTime) -> Option<Steady> {
        let by_wall_clock = self.time_point().steady_at(time.timestamp());
        let Some(boot_time) = time.boot_time else { return Some(by_wall_clock) };
        let passed = boot_time.uptime - self.boot_time.uptime;
        // The clock of a boot never goes back, unless the boot is told apart by less than its identity: in a container.
        if boot_time.boot != self.boot_time.boot || passed.is_negative() {
            return None;
        }
        let steady = self.steady.after(passed);
        // Where both clocks agree, the times of events give their steady times.
        let is_set = by_wall_clock.0.duration_since(steady.0).abs() >= RECORDED_STEP;
        Some(if is_set { steady } else { by_wall_clock })
    }

    /// Return the steady time when the boot-time clock shows a time, before this reading or after it; `None` in another boot.
    fn steady_when(&self, boot_time: &BootTime) -> Option<Steady> {
        let passed = boot_time.uptime - self.boot_time.uptime;
        (boot_time.boot == self.boot_time.boot).then(|| self.steady.after(passed))
    }

    fn time_point(&self) -> TimePoint {
        TimePoint { wall: self.wall, steady: self.steady }
    }
}

/// The origin of steady time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    /// The last reading; `None` if there was none yet. Then steady time is that of the wall clock.
    pub reading: Option<ClockReading>,
    /// The wall clock at the last event.
    pub last_event: Option<Timestamp>,
}

impl Clock {
    /// Return the present at the time of a decision.
    #[must_use]
    pub fn now(&self, time: &DecisionTime) -> Now {
        let wall = time.timestamp();
        let next = self.next_reading(time);
        let Some(reading) = next.as_ref().or(self.reading.as_ref()) else { return Now::by_wall_clock(wall) };
        let steady = reading.steady_at(time).unwrap_or(reading.steady);
        Now { time: TimePoint { wall, steady }, boot_began: reading.boot_began }
    }

    /// Return the moment that another process noted.
    #[must_use]
    pub fn time_point_of(&self, noted: &NotedTime, now: Now) -> TimePoint {
        let reading = self.reading.as_ref().zip(noted.boot_time);
        let steady = reading.and_then(|(reading, boot_time)| reading.steady_when(&boot_time));
        TimePoint { wall: noted.wall, steady: steady.unwrap_or_else(|| now.steady_at(noted.wall)) }
    }

    /// Return the reading to record at a moment: the machine has been booted, or the wall clock has been set, since the last one.
    #[must_use]
    pub fn next_reading(&self, time: &DecisionTime) -> Option<ClockReading> {
        let (wall, boot_time) = (time.timestamp(), time.boot_time?);
        let Some(last) = &self.reading else {
            let steady = Steady(wall);
            return Some(ClockReading { wall, boot_time, steady, boot_began: steady, set_from: None });
        };
        if let Some(steady) = last.steady_at(time) {
            let expected = last.time_point().wall_at(steady);
            let step = wall.duration_since(expected).abs();
            let (boot_began, set_from) = (last.boot_began, Some(expected).filter(|_| step >= CLOCK_STEP));
            let reading = ClockReading { wall, boot_time, steady, boot_began, set_from };
            return (step >= RECORDED_STEP).then_some(reading);
        }
        let last_event = self.last_event.unwrap_or(last.wall);
        let off = wall.duration_since(last_event);
        let steady = last.time_point().steady_at(last_event);
        let steady = steady.after(off.clamp(SHORTEST_OFF, LONGEST_OFF));
        let set_from = Some(last_event).filter(|_| off <= -CLOCK_STEP);
        Some(ClockReading { wall, boot_time, steady, boot_began: steady, set_from })
    }
}

/// Say that the wall clock was set, for a person.
#[must_use]
pub fn describe_step(from: Timestamp, to: Timestamp, zone: &TimeZone) -> String {
    let time =
        |time: Timestamp| time.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let step = to.duration_since(from).abs();
    let step = step.round(SignedDurationRound::new().smallest(Unit::Second)).unwrap_or(step);
    let direction = if to < from { "back" } else { "forward" };
    format!("the wall clock was set {direction} by {step:#}, from {} to {}", time(from), time(to))
}

/// Return a time plus a span, or an end of the calendar if that is nearer.
fn later(from: Timestamp, span: SignedDuration) -> Timestamp {
    let end = if span.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    from.checked_add(span).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_time::BootId;

    const HOUR: i64 = 3_600;

    fn wall(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + second).unwrap()
    }

    /// A time by the wall clock, and the uptime of a boot in seconds.
    fn time(second: i64, boot: u128, uptime: i64) -> DecisionTime {
        let boot_time = BootTime { boot: BootId(boot), uptime: SignedDuration::from_secs(uptime) };
        let wall = wall(second).to_zoned_datetime(jiff::tz::TimeZone::UTC);
        DecisionTime { wall, boot_time: Some(boot_time) }
    }

    /// A clock that lives through times, as the journal records it; return the steady seconds of each and the steps in it.
    fn live(times: &[DecisionTime]) -> (Vec<i64>, Vec<i64>) {
        let (mut clock, mut steady, mut steps) = (Clock::default(), Vec::new(), Vec::new());
        for time in times {
            let now = clock.now(time);
            let passed = now.steady.0.duration_since(wall(0));
            steady.push(passed.as_secs());
            if let Some(reading) = clock.next_reading(time) {
                assert_eq!(reading.steady, now.steady);
                steps.extend(reading.set_from.map(|from| now.wall.duration_since(from).as_secs()));
                clock.reading = Some(reading);
            }
            clock.last_event = Some(now.wall);
        }
        (steady, steps)
    }

    #[test]
    fn steady_time_starts_with_the_wall_clock_and_ignores_its_steps() {
        let times =
            [time(0, 1, 100), time(10, 1, 110), time(20 + 2 * HOUR, 1, 120), time(30 + 2 * HOUR, 1, 130)];
        assert_eq!(live(&times), (vec![0, 10, 20, 30], vec![2 * HOUR]));
        let times = [time(0, 1, 100), time(10 - 2 * HOUR, 1, 110), time(20, 1, 120)];
        assert_eq!(live(&times), (vec![0, 10, 20], vec![-2 * HOUR, 2 * HOUR]));
    }

    #[test]
    fn a_step_of_less_than_the_threshold_is_not_reported_and_does_not_count_either() {
        let times = [time(0, 1, 100), time(14, 1, 110), time(29, 1, 120), time(32, 2, 7)];
        assert_eq!(live(&times), (vec![0, 10, 20, 23], vec![5]));
    }

    #[test]
    fn across_boots_the_wall_clock_counts_as_far_as_that_is_plausible() {
        let week = LONGEST_OFF.as_secs();
        for (second, steady, steps) in [
            (70, 70, vec![]),
            // The clock is behind the last event, by little and by much.
            (7, 11, vec![]),
            (-HOUR, 11, vec![-HOUR - 10]),
            // It is years ahead.
            (50_000 * HOUR, 10 + week, vec![]),
        ] {
            let times = [time(0, 1, 100), time(10, 1, 110), time(second, 2, 5), time(second + 1, 2, 6)];
            assert_eq!(live(&times), (vec![0, 10, steady, steady + 1], steps), "{second}");
        }
    }

    #[test]
    fn a_boot_time_clock_that_goes_back_belongs_to_another_boot() {
        let times = [time(0, 1, 100), time(10, 1, 5), time(12, 1, 7)];
        assert_eq!(live(&times), (vec![0, 10, 12], vec![]));
    }

    #[test]
    fn without_a_boot_time_clock_the_wall_clock_counts() {
        let mut times = [time(0, 1, 100), time(2 * HOUR, 1, 110), time(3 * HOUR, 1, 120)];
        times[2].boot_time = None;
        assert_eq!(live(&times), (vec![0, 10, 10 + HOUR], vec![2 * HOUR - 10]));
        for time in &mut times {
            time.boot_time = None;
        }
        assert_eq!(live(&times), (vec![0, 2 * HOUR, 3 * HOUR], vec![]));
    }

    #[test]
    fn an_earlier_moment_of_this_boot_follows_the_clock_as_it_is_set_now() {
        let mut clock = Clock::default();
        clock.reading = clock.next_reading(&time(0, 1, 100));
        let first = clock.now(&time(0, 1, 100));
        clock.reading = clock.next_reading(&time(HOUR + 10, 2, 10));
        let second = clock.now(&time(HOUR + 10, 2, 10));
        let now = clock.now(&time(3 * HOUR, 2, 20));
        assert_eq!(now.wall_of(second.wall, Some(second.steady)), wall(3 * HOUR - 10));
        assert_eq!(now.wall_of(first.wall, Some(first.steady)), wall(0), "an earlier boot");
        assert_eq!(now.wall_of(wall(7), None), wall(7), "steady time was not known then");
        assert_eq!(now.steady_at(now.wall), now.steady);
        assert_eq!(now.wall_at(now.steady.after(SignedDuration::from_secs(5))), wall(3 * HOUR + 5));
    }

    #[test]
    fn spans_end_at_the_end_of_the_calendar_and_are_never_negative() {
        let end = Steady(Timestamp::MAX);
        assert_eq!(end.after(SignedDuration::from_secs(1)), end);
        assert_eq!(end.checked_after(SignedDuration::from_secs(1)), None);
        assert_eq!(Steady(wall(0)).since(Steady(wall(5))), SignedDuration::ZERO);
        assert_eq!(TimePoint::by_wall_clock(wall(0)).wall_at(end), Timestamp::MAX);
    }
}
