//! Schedules: against PyTorch's, at their edges, and with numbers that have no meaning.
//!
//! The numbers are made by `tests/golden/schedules.py`; no Python is needed here.

mod golden;

use deltarule::{ReduceOnPlateau, Schedule};
use golden::Golden;

fn golden() -> Golden {
    Golden::parse(include_str!("golden/schedules.txt"))
}

#[test]
fn the_factors_are_pytorchs() {
    let golden = golden();
    // PyTorch's cycle of 61 steps ends at t = 60 and is highest at 0.3 · 61 − 1.
    let one_cycle = Schedule::one_cycle_with(60.0, 17.3 / 60.0, 1.0 / 25.0, 4e-6);
    let schedules = [
        ("step", Schedule::step(7.0, 0.5)),
        ("exponential", Schedule::exponential(0.9)),
        ("inverse_time", Schedule::inverse_time(0.1)),
        ("polynomial", Schedule::polynomial(40.0, 2.0, 0.0)),
        ("cosine", Schedule::cosine(60.0, 0.1)),
        ("cosine_restarts", Schedule::cosine_restarts(5.0, 2.0, 0.01)),
        ("cosine_equal_restarts", Schedule::cosine_restarts(8.0, 1.0, 0.0)),
        ("one_cycle", one_cycle),
        ("warm_up", Schedule::constant().warm_up(10.0, 0.25)),
        ("warm_up_then_exponential", Schedule::exponential(0.9).warm_up(10.0, 0.25)),
    ];
    for (case, schedule) in schedules {
        schedule.check().unwrap();
        let factors: Vec<f64> = (0..60).map(|t| schedule.factor(f64::from(t))).collect();
        golden.check("schedule", case, "factors", &factors, 1e-12);
    }
}

#[test]
fn the_plateaus_are_pytorchs() {
    let golden = golden();
    let usual = ReduceOnPlateau::default();
    let half = |patience| ReduceOnPlateau { factor: 0.5, patience, ..usual };
    let cooldown = ReduceOnPlateau { patience: 1, cooldown: 4, smallest: 0.01, ..usual };
    for (case, rule, higher_is_better) in [
        ("plateau", half(3), false),
        ("plateau_cooldown", cooldown, false),
        ("plateau_threshold", ReduceOnPlateau { threshold: 0.05, ..half(2) }, false),
        ("plateau_max", half(3), true),
    ] {
        let mut plateau = rule.start();
        let mut factors = vec![1.0];
        for metric in golden.get::<f64>(case, "metrics") {
            factors.push(plateau.observe(metric, higher_is_better));
        }
        factors.pop();
        golden.check("plateau", case, "factors", &factors, 1e-12);
    }
}

#[test]
fn a_restart_is_where_its_period_begins() {
    for growth in [1.0, 1.1, 1.5, 2.0, 3.0] {
        let schedule = Schedule::cosine_restarts(10.0, growth, 0.0);
        let (mut begin, mut period) = (0.0, 10.0);
        for _ in 0..12 {
            let after = schedule.factor(begin + period * 1e-6);
            assert!(after > 0.999, "growth {growth}: {after} after {begin}");
            begin += period;
            period *= growth;
            let before = schedule.factor(begin - period * 1e-6);
            assert!(before < 0.001, "growth {growth}: {before} before {begin}");
        }
    }
}

/// Where it begins to the last bit, and just before.
#[test]
fn a_restart_is_as_sharp_as_time_is() {
    for growth in [2.0, 3.0] {
        let schedule = Schedule::cosine_restarts(1.0, growth, 0.0);
        let (mut begin, mut period) = (0.0, 1.0);
        for _ in 0..25 {
            assert_eq!(schedule.factor(begin), 1.0, "growth {growth} at {begin}");
            begin += period;
            period *= growth;
            let before = schedule.factor(f64::next_down(begin));
            assert!(before < 1e-12, "growth {growth} before {begin}: {before}");
        }
    }
}

#[test]
fn a_warm_up_ends_where_the_schedule_begins() {
    let schedule = Schedule::one_cycle_with(10.0, 0.5, 0.25, 0.0).warm_up(4.0, 0.5);
    assert_eq!([0.0, 2.0, 4.0].map(|time| schedule.factor(time)), [0.125, 0.1875, 0.25]);
}

#[test]
fn no_time_is_out_of_range() {
    let schedules = [
        Schedule::default(),
        Schedule::step(1.0, 0.5),
        Schedule::exponential(0.5),
        Schedule::inverse_time(1.0),
        Schedule::polynomial(3.0, 0.5, 0.1),
        Schedule::cosine(3.0, 0.0),
        Schedule::cosine_restarts(1e-300, 1.0, 0.0),
        Schedule::cosine_restarts(3.0, 1.5, 0.0),
        Schedule::one_cycle(3.0),
    ];
    for schedule in schedules.iter().flat_map(|s| [*s, s.warm_up(2.0, 0.0)]) {
        assert_eq!(schedule.factor(f64::NAN), schedule.factor(0.0));
        assert_eq!(schedule.factor(-1.0), schedule.factor(0.0));
        for time in [0.0, 1e-300, 0.5, 1.0, 2.5, 3.0, 1e9, 1e300] {
            let factor = schedule.factor(time);
            assert!((0.0..=1.0).contains(&factor), "{schedule:?} at {time}: {factor}");
        }
    }
}

#[test]
fn numbers_that_have_no_meaning() {
    let fails = |schedule: Schedule, message: &str| {
        assert_eq!(schedule.check().unwrap_err().to_string(), message);
    };
    let above = "but it must be finite and above 0";
    let not_negative = "but it must be finite and not negative";
    fails(Schedule::step(0.0, 0.5), &format!("`every` is 0, {above}"));
    fails(Schedule::step(1.0, f64::NAN), &format!("`factor` is NaN, {not_negative}"));
    fails(Schedule::exponential(-0.9), &format!("`factor` is -0.9, {not_negative}"));
    fails(Schedule::inverse_time(-1.0), &format!("`decay` is -1, {not_negative}"));
    fails(Schedule::polynomial(f64::INFINITY, 1.0, 0.0), &format!("`length` is inf, {above}"));
    fails(Schedule::polynomial(1.0, -1.0, 0.0), &format!("`power` is -1, {not_negative}"));
    fails(Schedule::polynomial(1.0, 1.0, -1.0), &format!("`end` is -1, {not_negative}"));
    fails(Schedule::cosine(-3.0, 0.0), &format!("`length` is -3, {above}"));
    fails(Schedule::cosine_restarts(0.0, 2.0, 0.0), &format!("`period` is 0, {above}"));
    fails(
        Schedule::cosine_restarts(1.0, 0.5, 0.0),
        "`growth` is 0.5, but it must be finite and at least 1",
    );
    fails(
        Schedule::one_cycle_with(1.0, 1.0, 0.0, 0.0),
        "`rise` is 1, but it must be above 0 and below 1",
    );
    fails(
        Schedule::one_cycle_with(1.0, 0.0, 0.0, 0.0),
        "`rise` is 0, but it must be above 0 and below 1",
    );
    fails(Schedule::one_cycle(0.0), &format!("`length` is 0, {above}"));
    let one_cycle = |start, end| Schedule::one_cycle_with(1.0, 0.5, start, end);
    fails(one_cycle(-1.0, 0.0), &format!("`start` is -1, {not_negative}"));
    fails(one_cycle(0.0, -1.0), &format!("`end` is -1, {not_negative}"));
    fails(Schedule::cosine(1.0, -1.0), &format!("`end` is -1, {not_negative}"));
    fails(Schedule::cosine_restarts(1.0, 1.0, -1.0), &format!("`end` is -1, {not_negative}"));
    let warm_up = |length, start| Schedule::constant().warm_up(length, start);
    fails(warm_up(0.0, 0.5), &format!("`warm_up.length` is 0, {above}"));
    fails(warm_up(1.0, -0.5), &format!("`warm_up.start` is -0.5, {not_negative}"));

    let usual = ReduceOnPlateau::default();
    let fails = |plateau: ReduceOnPlateau, message: &str| {
        assert_eq!(plateau.check().unwrap_err().to_string(), message);
    };
    fails(
        ReduceOnPlateau { factor: 1.0, ..usual },
        "`plateau.factor` is 1, but it must be at least 0 and below 1",
    );
    fails(
        ReduceOnPlateau { threshold: f64::NAN, ..usual },
        &format!("`plateau.threshold` is NaN, {not_negative}"),
    );
    let smallest = ReduceOnPlateau { smallest: -1.0, ..usual };
    fails(smallest, &format!("`plateau.smallest` is -1, {not_negative}"));
}

#[test]
fn plateaus_that_nobody_described() {
    let mut usual = ReduceOnPlateau::default().start();
    let factors = [1.0; 12].map(|loss| usual.observe(loss, false));
    assert_eq!((factors[10], factors[11]), (1.0, 0.1));
    // A smallest factor raises none.
    let rule = ReduceOnPlateau { patience: 0, smallest: 2.0, ..ReduceOnPlateau::default() };
    let mut plateau = rule.start();
    assert_eq!([1.0; 3].map(|loss| plateau.observe(loss, false)), [1.0; 3]);
}

#[test]
fn nan_is_never_better() {
    let mut plateau = ReduceOnPlateau { patience: 2, ..ReduceOnPlateau::default() }.start();
    let factors = [f64::NAN; 3].map(|loss| plateau.observe(loss, false));
    assert_eq!(factors, [1.0, 1.0, 0.1]);
}

/// Losses and R² can be.
#[test]
fn a_plateau_below_0() {
    let rule = ReduceOnPlateau { factor: 0.5, patience: 1, ..Default::default() };
    for (values, higher_is_better) in
        [([-10.0, -10.0, -9.999, -10.0005], false), ([-0.5, -0.5, -0.5, -0.49999], true)]
    {
        let mut plateau = rule.start();
        let factors = values.map(|value| plateau.observe(value, higher_is_better));
        assert_eq!(factors, [1.0, 1.0, 0.5, 0.5]);
    }
    let mut plateau = rule.start();
    assert_eq!([-10.0, -11.0, -12.0].map(|loss| plateau.observe(loss, false)), [1.0; 3]);
}
