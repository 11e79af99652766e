use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const FAST: Duration = Duration::from_millis(1);

/// A machine, the time, and short words for what happens.
struct Bench {
    machine: Machine,
    now: Instant,
}

impl Bench {
    fn new(config: BreakerConfig) -> Self {
        let now = Instant::now();
        Self { machine: Machine::new(config, now).unwrap(), now }
    }

    fn on(&mut self, event: Event) -> Reaction {
        self.machine.on(event, self.now)
    }

    /// The generation that a call is let through in.
    fn acquire(&mut self) -> Option<u64> {
        match self.on(Event::Acquire).decision {
            Decision::Admitted { generation } => Some(generation),
            _ => None,
        }
    }

    fn finish(&mut self, generation: u64, verdict: Verdict) -> Option<Change> {
        self.on(Event::Finished { generation, verdict, took: FAST }).change
    }

    fn call(&mut self, verdict: Verdict) -> Option<Change> {
        let generation = self.acquire().expect("the call passes");
        self.finish(generation, verdict)
    }

    fn open(config: BreakerConfig) -> Self {
        let mut bench = Self::new(config);
        while bench.machine.state() == State::Closed {
            bench.call(Verdict::Failure);
        }
        bench
    }

    fn half_open(config: BreakerConfig) -> Self {
        let reset = config.reset;
        let mut bench = Self::open(config);
        bench.now += reset;
        bench
    }
}

#[test]
fn five_failures_open_it_and_three_successes_close_it_a_minute_later() {
    let mut bench = Bench::new(BreakerConfig::default());
    for _ in 0..4 {
        assert_eq!(bench.call(Verdict::Failure), None);
    }
    let change = bench.call(Verdict::Failure);
    assert_eq!(change, Some(Change { from: State::Closed, to: State::Open, why: Why::Failures }));
    bench.now += 59 * SECOND;
    assert_eq!(bench.on(Event::Acquire).decision, Decision::Refused { retry_after: Some(SECOND) });
    bench.now += SECOND;
    assert_eq!(bench.call(Verdict::Success), None);
    assert_eq!(bench.call(Verdict::Success), None);
    let change = bench.call(Verdict::Success);
    assert_eq!(change, Some(Change { from: State::HalfOpen, to: State::Closed, why: Why::Recovered }));
}

#[test]
fn half_open_admits_at_most_its_limit() {
    let mut bench = Bench::half_open(BreakerConfig::default());
    let probes: Vec<_> = (0..3).map(|_| bench.acquire().unwrap()).collect();
    for _ in 0..100 {
        assert_eq!(bench.on(Event::Acquire).decision, Decision::Refused { retry_after: None });
    }
    // One that is over, whatever came of it, makes room for one more.
    bench.finish(probes[0], Verdict::Ignore);
    assert!(bench.acquire().is_some());
    assert!(bench.acquire().is_none());
}

#[test]
fn a_failed_probe_opens_it_for_another_minute() {
    let mut bench = Bench::half_open(BreakerConfig::default());
    let why = bench.call(Verdict::Failure).unwrap().why;
    assert_eq!(why, Why::ProbeFailed);
    assert_eq!(bench.on(Event::Acquire).decision, Decision::Refused { retry_after: Some(60 * SECOND) });
}

#[test]
fn a_late_result_of_an_older_generation_changes_nothing() {
    let mut bench = Bench::new(BreakerConfig::default());
    let old = bench.acquire().unwrap();
    for _ in 0..5 {
        bench.call(Verdict::Failure);
    }
    bench.now += 60 * SECOND;
    let probe = bench.acquire().unwrap();
    let before = bench.machine.view(bench.now);
    for verdict in [Verdict::Success, Verdict::Failure, Verdict::Ignore] {
        let late = bench.on(Event::Finished { generation: old, verdict, took: FAST });
        assert_eq!(late, Reaction { decision: Decision::Stale, change: None });
    }
    assert_eq!(bench.machine.view(bench.now), before);
    bench.finish(probe, Verdict::Failure);
    // The probe's own generation is over now, too.
    assert_eq!(bench.finish(probe, Verdict::Failure), None);
}

#[test]
fn successes_age_failures_out() {
    let mut bench = Bench::new(BreakerConfig { window_calls: 10, ..BreakerConfig::default() });
    for _ in 0..20 {
        for verdict in
            [Verdict::Failure, Verdict::Failure, Verdict::Success, Verdict::Success, Verdict::Success]
        {
            assert_eq!(bench.call(verdict), None);
        }
    }
    assert_eq!(bench.machine.view(bench.now).failures, 4);
}

#[test]
fn time_ages_failures_out() {
    let mut bench = Bench::new(BreakerConfig::default());
    for _ in 0..100 {
        assert_eq!(bench.call(Verdict::Failure), None);
        bench.now += 16 * SECOND;
    }
}

#[test]
fn a_clock_that_goes_back_neither_panics_nor_shortens_the_wait() {
    let mut bench = Bench::open(BreakerConfig::default());
    bench.now = bench.now.checked_sub(SECOND).unwrap_or(bench.now);
    assert_eq!(bench.on(Event::Acquire).decision, Decision::Refused { retry_after: Some(60 * SECOND) });
}

#[test]
fn too_few_calls_say_nothing() {
    let config = BreakerConfig { minimum_calls: Some(8), ..BreakerConfig::default() };
    let mut bench = Bench::new(config);
    for _ in 0..7 {
        assert_eq!(bench.call(Verdict::Failure), None);
    }
    assert_eq!(bench.call(Verdict::Success).unwrap().why, Why::Failures);
}

#[test]
fn a_busy_target_is_not_cut_off_for_a_few_failures() {
    let config = BreakerConfig { failure_ratio: Some(0.5), ..BreakerConfig::default() };
    let mut bench = Bench::new(config);
    for index in 0..200 {
        let verdict = if index % 3 == 0 { Verdict::Failure } else { Verdict::Success };
        assert_eq!(bench.call(verdict), None);
    }
}

#[test]
fn slow_calls_open_it_where_that_is_asked_for() {
    let config = BreakerConfig {
        slow_ratio: Some(0.5),
        slow_after: SECOND,
        minimum_calls: Some(4),
        ..Default::default()
    };
    let finish = |bench: &mut Bench, took| {
        let generation = bench.acquire().unwrap();
        bench.on(Event::Finished { generation, verdict: Verdict::Success, took }).change
    };
    let mut bench = Bench::new(config);
    for took in [FAST, FAST, SECOND] {
        assert_eq!(finish(&mut bench, took), None);
    }
    assert_eq!(finish(&mut bench, SECOND).unwrap().why, Why::SlowCalls);
    bench.now += 60 * SECOND;
    assert_eq!(finish(&mut bench, SECOND).unwrap().why, Why::ProbeFailed);

    let mut bench = Bench::new(BreakerConfig::default());
    for _ in 0..50 {
        assert_eq!(finish(&mut bench, 100 * SECOND), None);
    }
}

#[test]
fn an_operator_holds_it_until_it_is_reset() {
    let mut bench = Bench::new(BreakerConfig::default());
    bench.on(Event::ForceOpen);
    bench.now += 600 * SECOND;
    assert_eq!(bench.on(Event::Acquire).decision, Decision::Refused { retry_after: None });
    bench.on(Event::ForceClose);
    for _ in 0..20 {
        assert_eq!(bench.call(Verdict::Failure), None);
    }
    assert_eq!(bench.on(Event::Trip).change, None);
    bench.on(Event::Reset);
    assert_eq!(bench.machine.view(bench.now).failures, 0);
    for _ in 0..5 {
        bench.call(Verdict::Failure);
    }
    assert_eq!(bench.machine.state(), State::Open);
}

#[test]
fn a_supervisor_that_gives_up_on_a_child_opens_its_breaker() {
    let mut bench = Bench::new(BreakerConfig::default());
    let change = bench.on(Event::Trip).change;
    assert_eq!(change, Some(Change { from: State::Closed, to: State::Open, why: Why::Tripped }));
    assert_eq!(bench.on(Event::Acquire).decision, Decision::Refused { retry_after: Some(60 * SECOND) });
    bench.now += 60 * SECOND;
    assert!(bench.acquire().is_some());
}

#[test]
fn a_view_is_written_under_stable_names() {
    let mut bench = Bench::open(BreakerConfig::default());
    let json = serde_json::to_value(bench.machine.view(bench.now)).unwrap();
    let expected = serde_json::json!({
        "state": "open", "is_held": false, "generation": 1, "since_ms": 0, "retry_after_ms": 60_000, "calls": 0,
        "failures": 0, "slow": 0, "probes": 0, "probe_successes": 0, "rejected": 0, "opened": 1,
    });
    assert_eq!(json, expected);
}

/// The same as plainly as it can be said: all results are kept, and looked at anew each time.
struct Model {
    config: BreakerConfig,
    state: State,
    is_held: bool,
    era: u64,
    since_ms: u64,
    results: Vec<(u64, Verdict, bool)>,
    probes: u32,
}

impl Model {
    fn enter(&mut self, state: State, now_ms: u64) {
        self.state = state;
        self.era += 1;
        self.since_ms = now_ms;
        self.results.clear();
        self.probes = 0;
    }

    fn acquire(&mut self, now_ms: u64) -> bool {
        let elapsed = Duration::from_millis(now_ms - self.since_ms);
        if self.state == State::Open && !self.is_held && elapsed >= self.config.reset {
            self.enter(State::HalfOpen, now_ms);
        }
        let passes = match self.state {
            State::Closed => true,
            State::Open => false,
            State::HalfOpen => self.probes < self.config.half_open_probes,
        };
        self.probes += u32::from(passes);
        passes
    }

    fn finish(&mut self, now_ms: u64, era: u64, verdict: Verdict, is_slow: bool) {
        if era != self.era {
            return;
        }
        self.probes -= 1;
        if verdict == Verdict::Ignore {
            return;
        }
        self.results.push((now_ms, verdict, is_slow));
        let window = self.config.window.as_millis();
        let young = self.results.iter().filter(|(at, ..)| u128::from(now_ms - at) <= window);
        let young: Vec<_> = young.rev().take(self.config.window_calls as usize).collect();
        let failures = young.iter().filter(|(_, verdict, _)| *verdict == Verdict::Failure).count();
        let slow = young.iter().filter(|(.., is_slow)| *is_slow).count();
        let bad = (verdict == Verdict::Failure) || is_slow;
        if self.state == State::HalfOpen {
            if bad {
                self.enter(State::Open, now_ms);
            } else if self.results.len() >= self.config.success_threshold as usize {
                self.enter(State::Closed, now_ms);
            }
        } else if !self.is_held
            && young.len() >= self.config.volume() as usize
            && (failures >= self.config.failure_threshold as usize || slow * 2 >= young.len())
        {
            self.enter(State::Open, now_ms);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Acquire,
    Finish(prop::sample::Index, Verdict, bool),
    Advance(u64),
    Other(Event),
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop_oneof![Just(Verdict::Success), Just(Verdict::Failure), Just(Verdict::Ignore)];
    let other = prop_oneof![
        Just(Event::Trip),
        Just(Event::ForceOpen),
        Just(Event::ForceClose),
        Just(Event::Reset),
        Just(Event::Reset)
    ];
    prop_oneof![
        8 => Just(Step::Acquire),
        8 => (any::<prop::sample::Index>(), verdict, prop::bool::weighted(0.2))
            .prop_map(|(index, verdict, is_slow)| Step::Finish(index, verdict, is_slow)),
        3 => (0..1_500_u64).prop_map(Step::Advance),
        1 => other.prop_map(Step::Other),
    ]
}

proptest! {
    #[test]
    fn it_does_as_the_plain_model_says(steps in prop::collection::vec(step(), 1..300)) {
        let config = BreakerConfig {
            failure_threshold: 3,
            slow_ratio: Some(0.5),
            slow_after: SECOND,
            minimum_calls: Some(4),
            window_calls: 6,
            window: 2 * SECOND,
            reset: SECOND,
            half_open_probes: 2,
            success_threshold: 3,
            ..BreakerConfig::default()
        };
        let mut bench = Bench::new(config.clone());
        let mut model = Model {
            config, state: State::Closed, is_held: false, era: 0, since_ms: 0, results: vec![], probes: 0,
        };
        let mut now_ms = 0;
        let mut under_way: Vec<(u64, u64)> = vec![];
        for step in steps {
            match step {
                Step::Acquire => {
                    let admitted = bench.acquire();
                    prop_assert_eq!(admitted.is_some(), model.acquire(now_ms));
                    under_way.extend(admitted.map(|generation| (generation, model.era)));
                }
                Step::Finish(index, verdict, is_slow) if !under_way.is_empty() => {
                    let (generation, era) = under_way.swap_remove(index.index(under_way.len()));
                    let took = if is_slow { SECOND } else { FAST };
                    bench.on(Event::Finished { generation, verdict, took });
                    model.finish(now_ms, era, verdict, is_slow);
                }
                Step::Finish(..) => {}
                Step::Advance(ms) => {
                    now_ms += ms;
                    bench.now += Duration::from_millis(ms);
                }
                Step::Other(event) => {
                    bench.on(event);
                    let is_idle = model.is_held && (event == Event::Trip
                        || event == Event::ForceOpen && model.state == State::Open
                        || event == Event::ForceClose && model.state == State::Closed);
                    if !is_idle {
                        let opens = matches!(event, Event::Trip | Event::ForceOpen);
                        model.is_held = matches!(event, Event::ForceOpen | Event::ForceClose);
                        model.enter(if opens { State::Open } else { State::Closed }, now_ms);
                    }
                }
            }
            prop_assert_eq!(bench.machine.state(), model.state);
            prop_assert_eq!(bench.machine.is_held(), model.is_held);
            let view = bench.machine.view(bench.now);
            prop_assert!(view.probes <= 2);
            let generation = view.generation;
            let probes = under_way.iter().filter(|(of, _)| *of == generation).count();
            prop_assert!(model.state != State::HalfOpen || probes <= 2);
        }
    }
}
