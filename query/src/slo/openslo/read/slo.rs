//! Kind SLO: windows, objectives, policies.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate, NaiveDateTime};

use super::super::document::{Goal, Slo, Target, TimeWindow};
use super::super::fields::Fields;
use super::super::yaml::{At, Line, Node, Text};
use super::{alert, indicator};
use crate::slo::window::{Calendar, Unit};
use crate::slo::{Window, length};

/// Seconds of a rolling window.
const ROLLING_S: RangeInclusive<u64> = 3_600..=90 * 86_400;
/// 366 days: what is kept of the past.
const CALENDAR_S_MAX: u64 = 366 * 86_400;
const WINDOW_HINT: &str = "write `timeWindow: [{duration: 28d, isRolling: true}]`";

pub(super) fn slo(mut spec: Fields<'_>) -> Option<Slo> {
    let line = Line { value: (), line: spec.line() };
    let description = spec.text("description");
    let service = spec.text("service");
    let indicator = indicator(&mut spec);
    let window = windows(&mut spec);
    let method = method(&mut spec);
    let objectives = goals(&mut spec);
    let policies = spec.list("alertPolicies").map(|list| list.value).unwrap_or_default();
    let policies = policies.into_iter().filter_map(|item| alert::policy_of(&spec, item)).collect();
    spec.end();
    Some(Slo { line, description, service, indicator, window: window?, method, objectives: objectives?, policies })
}

fn method(spec: &mut Fields<'_>) -> Option<Text> {
    let method = spec.text("budgetingMethod")?;
    match method.value.as_str() {
        "Occurrences" => return Some(method),
        "Timeslices" | "RatioTimeslices" => {
            spec.fault(method.line, format!("budgetingMethod {} is not supported; use Occurrences", method.value));
        }
        other => spec.fault(method.line, format!("budgetingMethod {other} is not known; use Occurrences")),
    }
    None
}

fn windows(spec: &mut Fields<'_>) -> Option<TimeWindow> {
    spec.need("timeWindow", WINDOW_HINT).and_then(|windows| match windows.value {
        Node::List(list) => match <[At<Node>; 1]>::try_from(list) {
            Ok([one]) => spec.item(one, "timeWindow").and_then(time_window),
            Err(list) => {
                // The line of the first that is too many.
                let line = list.get(1).map_or(windows.line, |second| second.line);
                spec.fault(line, format!("timeWindow has {} entries; it must have one", list.len()));
                None
            }
        },
        other => {
            spec.fault(windows.line, format!("timeWindow must be a list, not {}; {WINDOW_HINT}", other.what()));
            None
        }
    })
}

fn time_window(mut fields: Fields<'_>) -> Option<TimeWindow> {
    let duration = fields.need_text("duration", "");
    let rolling = fields.flag("isRolling");
    let calendar = fields.inner("calendar").map(|mut calendar| {
        let start = calendar.need_text("startTime", "write it like `2026-01-01 00:00:00`");
        let zone = calendar.need_text("timeZone", "write it like Europe/Berlin");
        calendar.end();
        (start, zone)
    });
    let (start, zone, window) = match (&rolling, calendar) {
        (Some(At { value: true, line }), Some(_)) => {
            fields
                .fault(*line, "a window is rolling or has a calendar; write `isRolling: false` or leave calendar out");
            (None, None, None)
        }
        (Some(At { value: false, line }), None) => {
            fields.fault(*line, "a window that is not rolling needs calendar with startTime and timeZone");
            (None, None, None)
        }
        (_, None) => (None, None, duration.as_ref().and_then(|duration| rolling_window(&fields, duration))),
        (_, Some((start, zone))) => {
            let window = match (&duration, &start, &zone) {
                (Some(duration), Some(start), Some(zone)) => calendar_window(&fields, duration, start, zone),
                _ => None,
            };
            (start, zone, window)
        }
    };
    fields.end();
    Some(TimeWindow { duration: duration?, rolling, start, zone, window: window? })
}

fn rolling_window(fields: &Fields<'_>, duration: &Text) -> Option<Window> {
    let length = length::read(&duration.value).filter(|length| ROLLING_S.contains(&length.as_secs()));
    if length.is_none() {
        let message = format!("duration {} must be like 28d or 4w, from 1h to 90d", duration.value);
        fields.fault(duration.line, message);
    }
    length.map(Window::Rolling)
}

fn calendar_window(fields: &Fields<'_>, duration: &Text, start: &Text, zone: &Text) -> Option<Window> {
    let length =
        length::split(&duration.value).and_then(|(number, unit)| Some((number.parse().ok()?, Unit::of(unit)?)));
    let begin = read_start(&start.value);
    let clocks: Option<chrono_tz::Tz> = zone.value.parse().ok();
    if begin.is_none() {
        let message = format!("startTime {} must be like 2026-01-01 00:00:00, from 1970 to 2200", start.value);
        fields.fault(start.line, message);
    }
    if clocks.is_none() {
        let message = format!("timeZone {} is not in the IANA database; write it like Europe/Berlin", zone.value);
        fields.fault(zone.line, message);
    }
    let fits = |(count, unit): &(u32, Unit)| {
        let probe = Calendar { count: *count, unit: *unit, start: NaiveDateTime::default(), zone: chrono_tz::UTC };
        *count > 0 && Window::Calendar(probe).usual().as_secs() <= CALENDAR_S_MAX
    };
    let length = length.filter(fits);
    if length.is_none() {
        let message = format!("duration {} must be like 1d, 1w, 1M, 1Q or 1Y, up to a year", duration.value);
        fields.fault(duration.line, message);
    }
    let (count, unit) = length?;
    Some(Window::Calendar(Calendar { count, unit, start: begin?, zone: clocks? }))
}

fn read_start(text: &str) -> Option<NaiveDateTime> {
    let forms = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
    let whole = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let start = whole.or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))?;
    (1970..=2200).contains(&start.year()).then_some(start)
}

fn goals(spec: &mut Fields<'_>) -> Option<Vec<Goal>> {
    let listed = spec.need("objectives", "write `objectives: [{target: 0.99}]`")?;
    let Node::List(list) = listed.value else {
        spec.fault(listed.line, format!("objectives must be a list, not {}", listed.value.what()));
        return None;
    };
    if list.is_empty() {
        spec.fault(listed.line, "spec.objectives is empty");
    }
    Some(list.into_iter().filter_map(|item| spec.item(item, "objective").and_then(goal)).collect())
}

fn goal(mut fields: Fields<'_>) -> Option<Goal> {
    let line = Line { value: (), line: fields.line() };
    let display_name = fields.text("displayName");
    let (op, value) = (fields.text("op"), fields.number("value"));
    let target = target(&mut fields);
    for slices in [fields.take("timeSliceTarget"), fields.take("timeSliceWindow")].into_iter().flatten() {
        fields.fault(slices.line, "time slices are not supported; budgetingMethod is Occurrences");
    }
    let indicator = indicator(&mut fields);
    let weight = fields.number("compositeWeight");
    if let Some(weight) = weight.as_ref().filter(|weight| weight.value <= 0.0) {
        fields.fault(weight.line, format!("compositeWeight {} must be above 0", weight.value));
    }
    fields.end();
    Some(Goal { line, display_name, op, value, target: target?, indicator, weight })
}

fn target(fields: &mut Fields<'_>) -> Option<Target> {
    // A target that is there and no number is one fault, not two.
    let share = fields.take("target").map(|node| fields.as_number("target", node));
    let percent = fields.take("targetPercent").map(|node| fields.as_number("targetPercent", node));
    let target = match (share, percent) {
        (Some(share), None) => Target::Share(share?),
        (None, Some(percent)) => Target::Percent(percent?),
        (Some(share), Some(percent)) => {
            let line = share.or(percent).map_or(fields.line(), |given| given.line);
            fields.fault(line, "target and targetPercent exclude each other; keep one");
            return None;
        }
        (None, None) => {
            fields.fault(fields.line(), "an objective needs target or targetPercent");
            return None;
        }
    };
    let (Target::Share(given) | Target::Percent(given)) = &target;
    if target.share() > 0.0 && target.share() < 1.0 {
        return Some(target);
    }
    fields.fault(given.line, format!("target {} must lie between 0 and 1, both excluded", target.share()));
    None
}
