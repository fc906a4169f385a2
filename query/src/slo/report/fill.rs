//! The board's numbers from an objective's counters.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use daytwo_storage::{TraceId, UnixNanos};

use super::{
    BadShare, BudgetPoint, BurnAlert, LastDeployment, MemberReport, Severity, SloDetail, SloPoint, SloReport, SloState,
    journeys, sql,
};
use crate::slo::budget::{BAD_TRACES_MAX, Events};
use crate::slo::tally::{Tally, View};
use crate::slo::{Objective, burn};

/// Steps of a day kept on the board's little chart.
const BOARD_POINTS: usize = 60;
/// Steps of the detail page's chart.
const DETAIL_POINTS: usize = 300;
/// An hour, over which the speed of now is taken.
const HOUR: Duration = Duration::from_secs(3_600);

/// The objective as the board shows it.
pub(crate) fn report(view: &View<'_>, last_deployment: Option<LastDeployment>) -> SloReport {
    let objective = view.objective;
    let tally = view.window();
    let events = tally.sum();
    let alerts = burn::alerts(view);
    let budget_left = tally.budget_left(objective.target);
    let hour = view.last(HOUR).rate(objective.target);
    let members = members(view, &tally);
    let (state, reason) = state(objective, events, budget_left, &alerts);
    let interval = journeys::interval(events);
    let reason =
        reason.or_else(|| burnt_words(&members)).or_else(|| journeys::charged_words(&journeys::by_service(view)));
    SloReport {
        id: objective.id.clone(),
        name: objective.name.clone(),
        display_name: objective.display_name.clone(),
        service: objective.service.to_string(),
        kind: objective.kind(),
        objective: objective.words(),
        target: objective.target,
        window: objective.window_text.clone(),
        window_from: view.from,
        window_to: view.to,
        sli: tally.error().map(|error| 1.0 - error),
        good: events.good,
        bad: events.bad,
        total: events.total(),
        unknown: events.unknown,
        sli_low: interval.map(|(low, _)| low),
        sli_high: interval.map(|(_, high)| high),
        bounds: journeys::bounds(view, events),
        budget_left,
        exhausted_in_s: exhausted_in_s(view, budget_left, hour),
        burn: burn::rates(view),
        alerts,
        state,
        state_reason: reason,
        members,
        budget_series: budget_series(view, &tally),
        last_deployment,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Seconds until nothing is left, if the burn rate of the last hour stays; `None` when it is 1 or less.
///
/// Of a rolling window, a rate of 1 spends the budget in just the window. Of a calendar window the budget grows with the events: with the traffic so
/// far it is spent once `elapsed left = (rate - 1) x`; a window that ends before that starts anew.
fn exhausted_in_s(view: &View<'_>, budget_left: Option<f64>, hour: Option<f64>) -> Option<f64> {
    let (left, rate) = (budget_left?, hour?);
    if left <= 0.0 || rate <= 1.0 {
        return None;
    }
    let Some(to) = view.to else { return Some(left * view.objective.window.usual().as_secs_f64() / rate) };
    let seconds = left * view.now.since(view.from).as_secs_f64() / (rate - 1.0);
    (seconds < to.since(view.now).as_secs_f64()).then_some(seconds)
}

fn state(
    objective: &Objective,
    events: Events,
    budget_left: Option<f64>,
    alerts: &[BurnAlert],
) -> (SloState, Option<String>) {
    let Some(left) = budget_left else {
        let none = match events.unknown {
            0 => "no call in the window".to_owned(),
            unknown => format!("too little was seen of all {unknown} journeys in the window"),
        };
        return (SloState::NoData, Some(none));
    };
    let firing = |severity| alerts.iter().any(|alert| alert.firing && alert.severity == severity);
    let needed = burn::events_needed(objective.target);
    if firing(Severity::Page) {
        return (SloState::BurningPage, None);
    }
    if events.total() < needed {
        return (SloState::LowTraffic, Some(format!("{} events, needs {needed}", events.total())));
    }
    match () {
        () if left <= 0.0 => (SloState::Spent, None),
        () if firing(Severity::Ticket) => (SloState::BurningTicket, None),
        () => (SloState::Ok, None),
    }
}

/// The members of a composite; of a plain objective none.
fn members(view: &View<'_>, tally: &Tally) -> Vec<MemberReport> {
    if view.objective.members.len() < 2 {
        return Vec::new();
    }
    let parts = tally.parts();
    let all: f64 = parts.iter().flatten().sum();
    let one = |((member, counter), part): ((&crate::slo::Member, &crate::slo::SloCounter), Option<f64>)| {
        let events = counter.between(view.from, view.now);
        MemberReport {
            name: member.name.clone(),
            service: member.calls.service.to_string(),
            objective: member.calls.words(),
            target: member.target,
            weight: member.weight,
            sli: events.bad_share().map(|bad| 1.0 - bad),
            good: events.good,
            bad: events.bad,
            burnt: part.map(|part| part / (1.0 - view.objective.target)),
            burnt_share: part.filter(|_| all > 0.0).map(|part| part / all),
        }
    };
    view.objective.members.iter().zip(view.counters).zip(parts).map(one).collect()
}

/// Which members burnt the budget, most first; `None` when none did.
fn burnt_words(members: &[MemberReport]) -> Option<String> {
    let mut burnt: Vec<(&str, f64)> =
        members.iter().filter_map(|member| Some((member.name.as_str(), member.burnt_share?))).collect();
    burnt.retain(|(_, share)| *share > 0.0);
    burnt.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(right.0)));
    let words: Vec<String> = burnt.iter().map(|(name, share)| format!("{name} {:.0} %", share * 100.0)).collect();
    (!words.is_empty()).then(|| format!("burnt by {}", words.join(", ")))
}

/// Events of every member by five minutes, ascending.
fn steps(view: &View<'_>) -> BTreeMap<i64, Vec<Events>> {
    let mut steps: BTreeMap<i64, Vec<Events>> = BTreeMap::new();
    for (member, counter) in view.counters.iter().enumerate() {
        for (start, events) in counter.steps(view.from, view.now) {
            let all = steps.entry(start).or_insert_with(|| vec![Events::default(); view.counters.len()]);
            if let Some(own) = all.get_mut(member) {
                *own = events;
            }
        }
    }
    steps
}

fn weighted(view: &View<'_>, events: &[Events]) -> Tally {
    events.iter().copied().zip(view.objective.members.iter().map(|member| member.weight)).collect()
}

/// Budget of the current window as it was spent, thinned to the chart's points: what was bad until then of all events of the window.
fn budget_series(view: &View<'_>, tally: &Tally) -> Vec<BudgetPoint> {
    let totals: Vec<Events> = view.counters.iter().map(|counter| counter.between(view.from, view.now)).collect();
    let allowed = 1.0 - view.objective.target;
    let mut bad = vec![Events::default(); totals.len()];
    let counts = tally.sum().total() > 0;
    let point = |(t_unix_nano, events): (i64, Vec<Events>)| {
        bad.iter_mut().zip(&events).for_each(|(bad, events)| bad.add(*events));
        let until: Vec<Events> = totals.iter().zip(&bad).map(|(total, bad)| total.with_bad_of(*bad)).collect();
        let error = weighted(view, &until).error().filter(|_| counts);
        BudgetPoint { t_unix_nano, budget_left: error.map(|error| 1.0 - error / allowed) }
    };
    thin(steps(view).into_iter().map(point).collect(), BOARD_POINTS)
}

/// At most so many points, evenly, the last one always.
fn thin<T: Copy>(points: Vec<T>, max: usize) -> Vec<T> {
    let step = points.len().div_ceil(max).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(at, _)| last.saturating_sub(*at) % step == 0)
        .map(|(_, point)| point)
        .collect()
}

/// The objective as its own page shows it.
pub(crate) fn detail(view: &View<'_>, slo: SloReport) -> SloDetail {
    SloDetail {
        yaml: view.objective.yaml.clone(),
        series: series(view),
        by_operation: by_operation(view, slo.bad),
        by_service: journeys::by_service(view),
        bad_traces: bad_traces(view),
        sql: sql::of(view.objective),
        slo,
    }
}

fn by_operation(view: &View<'_>, all: u64) -> Vec<BadShare> {
    let shares = view.counters.iter().flat_map(|counter| counter.shares());
    let mut shares: Vec<BadShare> = shares
        .map(|(operation, version, bad)| BadShare {
            operation: operation.to_string(),
            version: version.to_string(),
            bad,
            share: share(bad, all.max(bad)).unwrap_or(0.0),
        })
        .collect();
    shares.sort_by(|left, right| right.bad.cmp(&left.bad).then_with(|| left.operation.cmp(&right.operation)));
    shares
}

/// Newest first, each once.
fn bad_traces(view: &View<'_>) -> Vec<TraceId> {
    let mut traces: Vec<(UnixNanos, TraceId)> = view.counters.iter().flat_map(|counter| counter.bad_traces()).collect();
    traces.sort_unstable_by(|left, right| right.cmp(left));
    let mut seen = std::collections::HashSet::new();
    traces.retain(|(_, trace)| seen.insert(*trace));
    traces.truncate(BAD_TRACES_MAX);
    traces.into_iter().map(|(_, trace)| trace).collect()
}

fn series(view: &View<'_>) -> Vec<SloPoint> {
    let target = view.objective.target;
    let steps = steps(view);
    let mut points = Vec::with_capacity(steps.len());
    let mut hour: VecDeque<(i64, Vec<Events>)> = VecDeque::new();
    for (t_unix_nano, events) in steps {
        let tally = weighted(view, &events);
        hour.push_back((t_unix_nano, events));
        while hour.front().is_some_and(|(start, _)| *start <= t_unix_nano.saturating_sub(3_600_000_000_000)) {
            hour.pop_front();
        }
        let mut long = vec![Events::default(); view.counters.len()];
        hour.iter().for_each(|(_, events)| long.iter_mut().zip(events).for_each(|(all, own)| all.add(*own)));
        let all = tally.sum();
        points.push(SloPoint {
            t_unix_nano,
            good: all.good,
            bad: all.bad,
            sli: tally.error().map(|error| 1.0 - error),
            burn_long: weighted(view, &long).rate(target),
            burn_short: tally.rate(target),
        });
    }
    thin(points, DETAIL_POINTS)
}
