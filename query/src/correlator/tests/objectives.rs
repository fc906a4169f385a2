//! Calendar windows, conditions of policies and composites, from calls to the board.

use super::*;
use crate::slo::{BurnAlert, SloReport};

fn ratio(service: &str) -> String {
    format!(
        "{{spec: {{ratioMetric: {{good: {{metricSource: {{type: daytwo, spec: {{signal: availability, service: {service}}}}}}}, total: {{metricSource: {{type: daytwo, spec: {{service: {service}}}}}}}}}}}}}"
    )
}

fn slo(name: &str, spec: &str) -> SloFile {
    let text = format!("apiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n{spec}");
    SloFile { name: format!("{name}.yaml"), text }
}

fn of_shop(name: &str, window: &str, more: &str) -> SloFile {
    let spec =
        format!("  indicator: {}\n  timeWindow: [{window}]\n  objectives: [{{target: 0.9}}]\n{more}", ratio("shop"));
    slo(name, &spec)
}

impl Rig {
    /// So many good and bad calls of a service, now, measured at once.
    fn calls(&self, first: u64, service: &'static str, good: u64, bad: u64) {
        let now = self.clock.now().0;
        let call = |number: u64| Sent { error: number >= good, ..server(first + number, service, "s1", now, MS) };
        self.send(&(0..good + bad).map(call).collect::<Vec<_>>());
        self.pass(10);
    }

    fn slo(&self, id: &str) -> SloReport {
        let board = self.engine.slos(None);
        assert_eq!(board.problems, []);
        board.slos.into_iter().find(|slo| slo.id == id).unwrap()
    }
}

const DAY_IN_BERLIN: &str = "{duration: 1d, calendar: {startTime: 2023-01-01 00:00:00, timeZone: Europe/Berlin}}";

/// Scenario: a day's budget in Berlin is overspent three quarters of an hour before midnight; midnight comes; good calls follow.
/// Guarantees: until midnight budget, burn rate and alerts see the bad calls, from then on none of them; without calls there is no data, and the
/// budget is whole with the first good ones. A rolling day still sees them.
#[test]
fn a_calendar_budget_starts_anew() {
    let rig = rig(EngineConfig::default());
    rig.engine.set_slos(&[of_shop("day", DAY_IN_BERLIN, ""), of_shop("rolling", "{duration: 1d}", "")]);
    rig.calls(1, "shop", 20, 80);
    let before = rig.slo("day");
    // START is 22:13:20 UTC; midnight in Berlin is at 23:00 UTC in winter.
    let midnight = START + 2_800_000 * MS;
    let bounds = (before.window_from.0, before.window_to.map(|to| to.0));
    assert_eq!(bounds, (midnight - 86_400_000 * MS, Some(midnight)));
    assert_eq!((before.bad, before.state), (80, SloState::BurningPage));
    assert!((before.budget_left.unwrap() + 7.0).abs() < 1e-9);
    rig.pass(2_800);
    let after = rig.slo("day");
    assert_eq!((after.window_from.0, after.total, after.state), (midnight, 0, SloState::NoData));
    rig.calls(1_000, "shop", 100, 0);
    let after = rig.slo("day");
    assert_eq!((after.good, after.bad, after.budget_left, after.state), (100, 0, Some(1.0), SloState::Ok));
    let hour = |slo: &SloReport| slo.burn.iter().find(|burn| burn.window == "1h").unwrap().rate;
    assert_eq!(hour(&after), Some(0.0));
    assert!(after.alerts.iter().all(|alert: &BurnAlert| !alert.firing));
    let rolling = rig.slo("rolling");
    assert_eq!((rolling.bad, rolling.window_to), (80, None));
    assert!(hour(&rolling).unwrap() > 2.0);
}

/// Scenario: a month's budget half spent after sixteen days, burning five times too fast; then the month is nearly over.
/// Guarantees: the time left is that at which, with the traffic so far, bad calls catch up with what is allowed; none when the budget starts anew before.
#[test]
fn a_calendar_budget_is_exhausted_within_its_window() {
    let rig = rig(EngineConfig::default());
    let month = "{duration: 1M, calendar: {startTime: 2023-01-01 00:00:00, timeZone: Europe/Berlin}, isRolling: false}";
    rig.engine.set_slos(&[of_shop("month", month, "")]);
    rig.calls(1, "shop", 900, 0);
    rig.pass(2 * 86_400);
    rig.calls(2_000, "shop", 50, 50);
    let slo = rig.slo("month");
    assert!((slo.budget_left.unwrap() - 0.5).abs() < 1e-9);
    let elapsed = rig.clock.now().since(slo.window_from).as_secs_f64();
    let per_second = 1_000.0 / elapsed;
    let seconds = slo.exhausted_in_s.unwrap();
    let (bad, calls) = (50.0 + 0.5 * per_second * seconds, 1_000.0 + per_second * seconds);
    assert!((bad - 0.1 * calls).abs() < 1e-6, "{bad} of {calls} after {seconds}");
    rig.pass(13 * 86_400 + 72_000);
    rig.calls(3_000, "shop", 50, 50);
    let slo = rig.slo("month");
    assert!(slo.budget_left.unwrap() > 0.0);
    assert_eq!(slo.exhausted_in_s, None);
}

/// Scenario: a policy of its own: burn rate 5 over ten minutes, for five; half of the calls fail for minutes, then none does.
/// Guarantees: the usual pairs are gone; the condition fires once it has held for five minutes, and no longer than it holds.
#[test]
fn a_policy_replaces_the_pairs() {
    let rig = rig(EngineConfig::default());
    let policy = "  alertPolicies: [{kind: AlertPolicy, metadata: {name: own}, spec: {conditions: [{kind: AlertCondition, metadata: {name: c}, spec: {severity: page, condition: {kind: burnrate, threshold: 5, lookbackWindow: 10m, alertAfter: 5m}}}]}}]\n";
    rig.engine.set_slos(&[of_shop("own", "{duration: 28d}", policy)]);
    let minute = |number: u64, good: u64, bad: u64| {
        rig.calls(number * 100 + 1, "shop", good, bad);
        rig.pass(50);
        let slo = rig.slo("own");
        let [alert] = slo.alerts.as_slice() else { panic!("{:?}", slo.alerts) };
        assert_eq!((alert.policy.as_deref(), alert.long.as_str(), alert.short.as_str()), (Some("own"), "10m", "5m"));
        assert_eq!(slo.state == SloState::BurningPage, alert.firing);
        alert.firing
    };
    let burning: Vec<bool> = (0..8).map(|number| minute(number, 10, 10)).collect();
    assert_eq!(burning, [false, false, false, false, true, true, true, true]);
    assert!(!minute(8, 20, 0), "over ten minutes less than half fails");
}

/// Scenario: a composite of shop (weight 3) and pay (weight 1); first only shop is called, then pay fails.
/// Guarantees: the error ratio is the weighted average, of a silent member nothing; the members say who burnt, in words and numbers that add up.
#[test]
fn a_composite_names_who_burnt() {
    let rig = rig(EngineConfig::default());
    let member = |service: &str, weight: u32| {
        format!(
            "    - {{displayName: {service}, target: 0.9, compositeWeight: {weight}, indicator: {}}}\n",
            ratio(service)
        )
    };
    let spec = format!(
        "  service: all\n  timeWindow: [{{duration: 28d}}]\n  objectives:\n{}{}",
        member("shop", 3),
        member("pay", 1)
    );
    rig.engine.set_slos(&[slo("both", &spec)]);
    rig.calls(1, "shop", 98, 2);
    let slo = rig.slo("both");
    assert!((slo.sli.unwrap() - 0.98).abs() < 1e-12);
    assert_eq!((slo.kind, slo.service.as_str(), slo.members[1].sli), ("composite", "all", None));
    assert_eq!(slo.state_reason.as_deref(), Some("burnt by shop 100 %"));
    rig.calls(1_000, "pay", 6, 14);
    let slo = rig.slo("both");
    let error = (3.0 * 0.02 + 1.0 * 0.7) / 4.0;
    assert!((slo.sli.unwrap() - (1.0 - error)).abs() < 1e-12);
    assert!((slo.budget_left.unwrap() - (1.0 - error / 0.1)).abs() < 1e-9);
    assert_eq!((slo.good, slo.bad), (104, 16));
    assert_eq!(slo.state_reason.as_deref(), Some("burnt by pay 92 %, shop 8 %"));
    let burnt: f64 = slo.members.iter().filter_map(|member| member.burnt).sum();
    assert!((burnt - (1.0 - slo.budget_left.unwrap())).abs() < 1e-9);
    let last = slo.budget_series.last().unwrap().budget_left.unwrap();
    assert!((last - slo.budget_left.unwrap()).abs() < 1e-9, "the chart ends where the budget stands");
    let detail = rig.engine.slo_detail("both").unwrap();
    assert_eq!((detail.by_operation.iter().map(|share| share.bad).sum::<u64>(), detail.bad_traces.len()), (16, 16));
    assert_eq!(
        detail
            .series
            .iter()
            .map(|point| (point.good, point.bad))
            .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1)),
        (104, 16)
    );
    assert_eq!(detail.sql.matches("SELECT").count(), 2);
}

/// Scenario: the same calls under a window of a week and one of an hour; hours pass.
/// Guarantees: what is written down is what the longer one has, in whatever order they stand; a third objective begins with it.
#[test]
fn the_longest_memory_is_kept() {
    for order in [["a", "b"], ["b", "a"]] {
        let rig = rig(EngineConfig::default());
        let week = of_shop(order[0], "{duration: 7d}", "");
        let hour = of_shop(order[1], "{duration: 1h}", "");
        let mut files = [week, hour];
        files.sort_by(|left, right| left.name.cmp(&right.name));
        rig.engine.set_slos(&files);
        rig.calls(1, "shop", 20, 10);
        rig.pass(5 * 3_600);
        let counters = rig.engine.state().counters();
        let counted: u64 = counters
            .values()
            .flat_map(|counter| counter.steps(UnixNanos(0), rig.clock.now()))
            .map(|(_, events)| events.bad)
            .sum();
        assert_eq!((counters.len(), counted), (1, 10));
        let [first, second] = files;
        rig.engine.set_slos(&[first, second, of_shop("c", "{duration: 2d}", "")]);
        assert_eq!(rig.slo("c").bad, 10);
        assert!(!rig.engine.state().wants_rebuild);
    }
}

/// Scenario: a year's budget, kept over a stop of a hundred days; the engine ticks before anybody says which objectives there are.
/// Guarantees: the year still has its calls, although cells and budgets that nobody reads are kept for 28 days.
#[test]
fn a_years_budget_survives_a_late_list_of_objectives() {
    let year = "{duration: 1Y, calendar: {startTime: 2023-11-01, timeZone: UTC}}";
    let before = rig(EngineConfig::default());
    before.engine.set_slos(&[of_shop("year", year, "")]);
    before.calls(1, "shop", 20, 10);
    let after = rig(EngineConfig::default());
    after.engine.state().kept = before.engine.state().counters();
    after.pass(100 * 86_400);
    after.engine.set_slos(&[of_shop("year", year, "")]);
    let slo = after.slo("year");
    assert_eq!((slo.good, slo.bad), (20, 10));
    after.engine.set_slos(&[]);
    after.pass(10);
    assert_eq!(after.engine.state().kept.len(), 0, "what nobody reads and is that old goes");
}

/// Scenario: 60 good calls that were all kept, and 10 bad ones of which each stands for four; then the same good calls again, one of them with a
/// sampling state that says nothing.
/// Guarantees: indicator, budget and burn rate are those of 100 calls, then 160; counts are those that came; taking a trace in again changes nothing.
#[test]
fn sampled_calls_count_as_often_as_they_stand_for() {
    let rig = rig(EngineConfig::default());
    rig.engine.set_slos(&[of_shop("rolling", "{duration: 28d}", "")]);
    let sampled = |number: u64| Sent {
        error: number > 60,
        state: if number > 60 { "ot=th:c" } else { "" },
        ..server(number, "shop", "s1", START, MS)
    };
    rig.send(&(1..=70).map(sampled).collect::<Vec<_>>());
    rig.pass(10);
    let slo = rig.slo("rolling");
    assert_eq!((slo.good, slo.bad, slo.total), (60, 10, 70));
    let about = |got: Option<f64>, expected: f64| assert!((got.unwrap() - expected).abs() < 1e-9, "{got:?} {expected}");
    about(slo.sli, 0.6);
    about(slo.budget_left, 1.0 - 0.4 / 0.1);
    about(slo.burn[2].rate, 4.0);
    about(slo.budget_series[0].budget_left, -3.0);
    let shop = &rig.engine.services(rig.window(), None)[0];
    assert_eq!(shop.spans, 70);
    about(shop.errors_fraction, 0.4);
    about(Some(shop.rate_per_s), 100.0 / 10.0);
    let more = |number: u64| Sent {
        state: if number == 101 { "ot=th:zz" } else { "ot=th:0" },
        ..server(number, "shop", "s1", START, MS)
    };
    rig.send(&(101..=160).map(more).collect::<Vec<_>>());
    rig.pass(10);
    about(rig.slo("rolling").sli, 0.75);
    // A span more for each of the bad traces: they are measured anew.
    let child = |number: u64| Sent { id: 2, parent: Some(1), kind: 1, ..sampled(number) };
    rig.send(&(61..=70).map(child).collect::<Vec<_>>());
    rig.pass(10);
    let slo = rig.slo("rolling");
    assert_eq!((slo.good, slo.bad), (120, 10));
    about(slo.sli, 0.75);
}
