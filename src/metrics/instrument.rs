//! The kinds of metric that a task holds, and what each shows at `/metrics`.
//!
//! Everything is updated per batch, never per record. Rates, averages and maxima cover the last
//! [`SAMPLES`] windows of [`WINDOW`], as the original's do (`metrics.sample.window.ms`,
//! `metrics.num.samples`); without a sample they are NaN, as there.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeMetric;

use super::histogram::{FileSizes, Latencies};

/// The length of a sample.
const WINDOW: Duration = Duration::from_secs(30);
/// How many samples, the present one included, count.
const SAMPLES: usize = 2;
/// A sample that began longer ago does not count.
const SPAN: Duration = Duration::from_secs(60);
/// Series that a metric with a label of its own may have; what comes later counts under `other`.
const LABELS_MAX: usize = 1000;

/// One series of an instrument: what follows the metric's name, and how it is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    pub suffix: &'static str,
    pub form: Form,
    /// What follows the help of the metric.
    pub help: &'static str,
}

/// Prometheus' type of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Shown with the suffix `_total`.
    Counter,
    Gauge,
    /// Shown by [`Instrument::whole`].
    Histogram,
}

/// A number at the time of a scrape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reading {
    Count(u64),
    Level(i64),
    Value(f64),
}

/// Takes a reading with the label that the instrument adds, if it does.
pub(super) type Visit<'a> = dyn FnMut(Option<(&'static str, &str)>, Reading) + 'a;

/// What a field of [`super::TaskMetrics`] can be.
pub(super) trait Instrument {
    const SERIES: &'static [Series];

    /// Reads series number `series` of [`Instrument::SERIES`].
    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>);

    /// A histogram, which is several series and shows itself.
    fn whole(&self) -> Option<&dyn EncodeMetric> {
        None
    }
}

const fn gauge(suffix: &'static str, help: &'static str) -> Series {
    Series { suffix, form: Form::Gauge, help }
}

/// Counts up. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    pub fn inc(&self) {
        self.inc_by(1);
    }

    pub fn inc_by(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Instrument for Counter {
    const SERIES: &'static [Series] = &[Series { suffix: "", form: Form::Counter, help: "" }];

    fn read(&self, _: usize, _: Instant, visit: &mut Visit<'_>) {
        visit(None, Reading::Count(self.get()));
    }
}

/// Counts up, and is a gauge at `/metrics`: the original's attributes that begin with `total-`.
#[derive(Debug, Default)]
pub struct Total(Counter);

impl Total {
    pub fn inc(&self) {
        self.0.inc();
    }

    pub fn inc_by(&self, count: u64) {
        self.0.inc_by(count);
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Instrument for Total {
    const SERIES: &'static [Series] = &[gauge("", "")];

    fn read(&self, _: usize, _: Instant, visit: &mut Visit<'_>) {
        visit(None, Reading::Level(i64::try_from(self.get()).unwrap_or(i64::MAX)));
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Instrument for Gauge {
    const SERIES: &'static [Series] = &[gauge("", "")];

    fn read(&self, _: usize, _: Instant, visit: &mut Visit<'_>) {
        visit(None, Reading::Level(self.get()));
    }
}

/// Counts up; shows how fast, too.
#[derive(Debug, Default)]
pub struct Meter {
    total: Counter,
    recent: Recent,
}

impl Meter {
    pub fn inc(&self) {
        self.inc_by(1);
    }

    pub fn inc_by(&self, count: u64) {
        self.total.inc_by(count);
        self.recent.record(count, Instant::now());
    }

    pub fn get(&self) -> u64 {
        self.total.get()
    }
}

impl Instrument for Meter {
    const SERIES: &'static [Series] = &[
        Series { suffix: "", form: Form::Counter, help: "" },
        gauge("_rate", ", per second of late"),
    ];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let reading = match series {
            0 => Reading::Count(self.total.get()),
            _ => Reading::Value(self.recent.summary(now).rate()),
        };
        visit(None, reading);
    }
}

/// A gauge that shows its recent maximum and average, too.
#[derive(Debug, Default)]
pub struct Level {
    now: Gauge,
    recent: Recent,
}

impl Level {
    pub fn set(&self, value: u64) {
        set_gauge(&self.now, value);
        self.recent.record(value, Instant::now());
    }

    pub fn get(&self) -> i64 {
        self.now.get()
    }
}

impl Instrument for Level {
    const SERIES: &'static [Series] =
        &[gauge("", ""), gauge("_max", ", at most of late"), gauge("_avg", ", on average of late")];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let reading = match series {
            0 => Reading::Level(self.now.get()),
            1 => Reading::Value(self.recent.summary(now).max()),
            _ => Reading::Value(self.recent.summary(now).average()),
        };
        visit(None, reading);
    }
}

/// Numbers of which the recent maximum and average show.
#[derive(Debug, Default)]
pub struct Size(Recent);

impl Size {
    pub fn record(&self, value: u64) {
        self.0.record(value, Instant::now());
    }
}

impl Instrument for Size {
    const SERIES: &'static [Series] =
        &[gauge("_max", ", at most of late"), gauge("_avg", ", on average of late")];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let recent = self.0.summary(now);
        visit(None, Reading::Value(if series == 0 { recent.max() } else { recent.average() }));
    }
}

/// Numbers of which the recent minimum shows, too.
#[derive(Debug, Default)]
pub struct Span(Recent);

impl Span {
    pub fn record(&self, value: u64) {
        self.0.record(value, Instant::now());
    }
}

impl Instrument for Span {
    const SERIES: &'static [Series] = &[
        gauge("_min", ", at least of late"),
        gauge("_max", ", at most of late"),
        gauge("_avg", ", on average of late"),
    ];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let recent = self.0.summary(now);
        let number = match series {
            0 => recent.min(),
            1 => recent.max(),
            _ => recent.average(),
        };
        visit(None, Reading::Value(number));
    }
}

/// Durations of which the recent maximum and average show, in milliseconds.
#[derive(Debug, Default)]
pub struct Timing(Recent);

impl Timing {
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.0.record(micros, Instant::now());
    }
}

impl Instrument for Timing {
    const SERIES: &'static [Series] = &[
        gauge("_max_time_ms", ", milliseconds at most of late"),
        gauge("_avg_time_ms", ", milliseconds on average of late"),
    ];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let recent = self.0.summary(now);
        let micros = if series == 0 { recent.max() } else { recent.average() };
        visit(None, Reading::Value(micros / 1000.0));
    }
}

/// How often something succeeded of late; fractions of 1, as the original's percentages are.
#[derive(Debug, Default)]
pub struct Outcomes {
    successes: Recent,
    failures: Recent,
}

impl Outcomes {
    pub fn success(&self) {
        self.successes.record(1, Instant::now());
    }

    pub fn failure(&self) {
        self.failures.record(1, Instant::now());
    }
}

impl Instrument for Outcomes {
    const SERIES: &'static [Series] = &[
        gauge("_success_percentage", " that succeeded of late, 0 to 1"),
        gauge("_failure_percentage", " that failed of late, 0 to 1"),
    ];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let count = |recent: &Recent| recent.summary(now).count as f64;
        let (successes, failures) = (count(&self.successes), count(&self.failures));
        let wanted = if series == 0 { successes } else { failures };
        let all = successes + failures;
        visit(None, Reading::Value(if all == 0.0 { 0.0 } else { wanted / all }));
    }
}

/// Which share of its time a task was in a state, since it started.
#[derive(Debug, Default)]
pub struct StateTimes(Mutex<States>);

/// What [`StateTimes`] tells apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    #[default]
    Other,
    Running,
    Paused,
}

#[derive(Debug, Default)]
struct States {
    present: Activity,
    since: Option<Instant>,
    running: Duration,
    paused: Duration,
    other: Duration,
}

impl StateTimes {
    pub fn enter(&self, activity: Activity) {
        let mut states = lock(&self.0);
        let now = Instant::now();
        states.settle(now);
        states.present = activity;
        states.since = Some(now);
    }
}

impl States {
    fn settle(&mut self, now: Instant) {
        let Some(since) = self.since.replace(now) else { return };
        let spent = now.saturating_duration_since(since);
        *match self.present {
            Activity::Running => &mut self.running,
            Activity::Paused => &mut self.paused,
            Activity::Other => &mut self.other,
        } += spent;
    }
}

impl Instrument for StateTimes {
    const SERIES: &'static [Series] =
        &[gauge("_running_ratio", " running, 0 to 1"), gauge("_pause_ratio", " paused, 0 to 1")];

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        let mut states = lock(&self.0);
        states.settle(now);
        let all = (states.running + states.paused + states.other).as_secs_f64();
        let wanted = if series == 0 { states.running } else { states.paused }.as_secs_f64();
        visit(None, Reading::Value(if all == 0.0 { 0.0 } else { wanted / all }));
    }
}

impl Instrument for FileSizes {
    const SERIES: &'static [Series] = &[Series { suffix: "", form: Form::Histogram, help: "" }];

    fn read(&self, _: usize, _: Instant, _: &mut Visit<'_>) {}

    fn whole(&self) -> Option<&dyn EncodeMetric> {
        Some(self)
    }
}

impl Instrument for Latencies {
    const SERIES: &'static [Series] = &[Series { suffix: "", form: Form::Histogram, help: "" }];

    fn read(&self, _: usize, _: Instant, _: &mut Visit<'_>) {}

    fn whole(&self) -> Option<&dyn EncodeMetric> {
        Some(self)
    }
}

/// An instrument per value of one more label. Hold the value of [`By::of`]: looking it up locks.
#[derive(Debug)]
pub struct By<L, I> {
    series: Mutex<BTreeMap<String, Arc<I>>>,
    label: PhantomData<L>,
}

/// The name of a label, as a type.
pub trait Label {
    const NAME: &'static str;
}

/// `table="schema.name"`
#[derive(Debug)]
pub struct Table;

impl Label for Table {
    const NAME: &'static str = "table";
}

impl<L, I> Default for By<L, I> {
    fn default() -> Self {
        Self { series: Mutex::default(), label: PhantomData }
    }
}

impl<L: Label, I: Default> By<L, I> {
    /// The instrument for `value`. Beyond a bound all further values share one.
    pub fn of(&self, value: &str) -> Arc<I> {
        let mut series = lock(&self.series);
        let known = series.contains_key(value) || series.len() < LABELS_MAX;
        let value = if known { value } else { "other" };
        Arc::clone(series.entry(value.to_owned()).or_default())
    }

    /// Forgets what is not `kept`.
    pub fn retain(&self, kept: impl Fn(&str) -> bool) {
        lock(&self.series).retain(|value, _| kept(value));
    }
}

impl<L: Label, I: Instrument> Instrument for By<L, I> {
    const SERIES: &'static [Series] = I::SERIES;

    fn read(&self, series: usize, now: Instant, visit: &mut Visit<'_>) {
        for (value, instrument) in lock(&self.series).iter() {
            instrument.read(series, now, &mut |_, reading| {
                visit(Some((L::NAME, value)), reading);
            });
        }
    }
}

/// Sets a gauge from a measured number of any size.
pub fn set_gauge(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// What was recorded in the last windows.
#[derive(Debug, Default)]
struct Recent(Mutex<VecDeque<Sample>>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    began: Instant,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Summary {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// Since the first sample that counts began; a whole window at least, but for the present one.
    elapsed: Duration,
}

impl Recent {
    fn record(&self, value: u64, now: Instant) {
        let mut samples = lock(&self.0);
        let fresh =
            samples.back().is_none_or(|last| WINDOW <= now.saturating_duration_since(last.began));
        if fresh {
            if samples.len() == SAMPLES {
                samples.pop_front();
            }
            samples.push_back(Sample { began: now, count: 0, sum: 0, min: u64::MAX, max: 0 });
        }
        let last = samples.back_mut().expect("one was pushed when there was none");
        last.count += 1;
        last.sum = last.sum.saturating_add(value);
        last.min = last.min.min(value);
        last.max = last.max.max(value);
    }

    fn summary(&self, now: Instant) -> Summary {
        let samples = lock(&self.0);
        let age = |sample: &Sample| now.saturating_duration_since(sample.began);
        let counting = samples.iter().filter(|sample| age(sample) < SPAN);
        let mut summary =
            Summary { count: 0, sum: 0, min: u64::MAX, max: 0, elapsed: Duration::ZERO };
        for sample in counting {
            summary.count += sample.count;
            summary.sum = summary.sum.saturating_add(sample.sum);
            summary.min = summary.min.min(sample.min);
            summary.max = summary.max.max(sample.max);
            summary.elapsed = summary.elapsed.max(age(sample));
        }
        // As the original: without a full window before the present one, one is assumed.
        summary.elapsed = summary.elapsed.max(SPAN - WINDOW);
        summary
    }
}

impl Summary {
    fn rate(&self) -> f64 {
        self.sum as f64 / self.elapsed.as_secs_f64()
    }

    fn average(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum as f64 / self.count as f64 }
    }

    fn min(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.min as f64 }
    }

    fn max(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.max as f64 }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Numbers have no half-done state that a panic could leave.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_windows_count() {
        let recent = Recent::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(recent.summary(at(0)).average().is_nan() && recent.summary(at(0)).max().is_nan());
        recent.record(10, at(0));
        recent.record(20, at(10));
        let summary = recent.summary(at(15));
        assert_eq!((summary.count, summary.sum, summary.max), (2, 30, 20));
        assert!((summary.rate() - 1.0).abs() < 1e-9, "30 over the 30 s that are assumed");
        recent.record(30, at(40));
        let summary = recent.summary(at(50));
        assert_eq!((summary.count, summary.elapsed), (3, Duration::from_secs(50)));
        recent.record(1, at(75));
        let summary = recent.summary(at(80));
        assert_eq!((summary.count, summary.max), (2, 30), "the first window left");
        assert_eq!(recent.summary(at(200)).count, 0);
    }

    #[test]
    fn shares_of_states_add_up() {
        let times = StateTimes::default();
        let start = Instant::now();
        let mut states = States { since: Some(start), ..States::default() };
        states.present = Activity::Running;
        states.settle(start + Duration::from_secs(3));
        states.present = Activity::Paused;
        states.settle(start + Duration::from_secs(4));
        states.present = Activity::Other;
        states.since = None;
        *lock(&times.0) = states;
        let mut read = Vec::new();
        for series in 0..2 {
            times.read(series, start, &mut |_, reading| read.push(reading));
        }
        assert_eq!(read, [Reading::Value(0.75), Reading::Value(0.25)]);
    }

    #[test]
    fn a_label_of_many_values_is_bounded() {
        let by: By<Table, Counter> = By::default();
        for value in 0..LABELS_MAX + 5 {
            by.of(&value.to_string()).inc();
        }
        assert_eq!(by.of("other").get(), 5);
        by.retain(|value| value == "1");
        let mut read = Vec::new();
        by.read(0, Instant::now(), &mut |label, reading| {
            read.push((label.map(|(name, value)| format!("{name}={value}")), reading));
        });
        assert_eq!(read, [(Some("table=1".to_owned()), Reading::Count(1))]);
    }
}
