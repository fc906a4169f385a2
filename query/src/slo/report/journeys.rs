//! What the board shows of journeys beside what it shows of calls: the interval that unknown ones leave, what aggregates of the conditions could say,
//! and who is charged.

use super::{Bounds, ConditionReport, PlaceShare};
use crate::slo::budget::Events;
use crate::slo::budget::parts::Parts;
use crate::slo::tally::View;
use crate::trace::Weight;

#[expect(clippy::cast_precision_loss, reason = "a share of sums far above the rounding")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The least and the largest share of good journeys, were the unknown ones all bad, or all good; `None` without unknown ones.
pub(super) fn interval(events: Events) -> Option<(f64, f64)> {
    let [good, bad, unknown] = events.weights();
    let all = good.saturating_add(bad).saturating_add(unknown);
    (unknown > 0).then(|| (ratio(good, all), ratio(good.saturating_add(unknown), all)))
}

/// Of an objective of journeys what is known from how often each of its conditions was met, each counted for itself; `None` without journeys, and of
/// other objectives.
pub(super) fn bounds(view: &View<'_>, events: Events) -> Option<Bounds> {
    let ([member], [counter]) = (view.objective.members.as_slice(), view.counters) else { return None };
    let names = member.calls.conditions();
    let [good, bad, _] = events.weights();
    let all = good.saturating_add(bad);
    if names.is_empty() || all == 0 {
        return None;
    }
    let failed = counter.parts_between(view.from, view.now).failed;
    let met = |number: usize| {
        let failed = u16::try_from(number).ok().and_then(|number| failed.get(&number)).copied().unwrap_or(0);
        ratio(all.saturating_sub(failed), all)
    };
    let conditions: Vec<ConditionReport> =
        names.into_iter().enumerate().map(|(number, name)| ConditionReport { name, sli: met(number) }).collect();
    let slis = || conditions.iter().map(|condition| condition.sli);
    Some(Bounds {
        product: slis().product(),
        low: (1.0 - slis().map(|sli| 1.0 - sli).sum::<f64>()).max(0.0),
        high: slis().fold(1.0, f64::min),
        conditions,
    })
}

/// Who is charged for the bad journeys of the window, most first; nobody named last.
pub(super) fn by_service(view: &View<'_>) -> Vec<PlaceShare> {
    let mut all = Parts::default();
    view.counters.iter().for_each(|counter| all.add(&counter.parts_between(view.from, view.now)));
    let sum = all.blamed.values().fold(0_u64, |sum, part| sum.saturating_add(*part));
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut shares: Vec<PlaceShare> = all
        .blamed
        .into_iter()
        .map(|(who, part)| PlaceShare {
            service: named(&who.place.service),
            caller: named(&who.place.caller),
            version: who.version.to_string(),
            bad: ratio(part, Weight::ONE),
            share: ratio(part, sum),
        })
        .collect();
    shares.sort_by(|left, right| {
        let key = |share: &PlaceShare| share.service.is_none();
        key(left).cmp(&key(right)).then_with(|| right.share.total_cmp(&left.share))
    });
    shares
}

/// Who was charged most, in words; `None` when nobody is named.
pub(super) fn charged_words(shares: &[PlaceShare]) -> Option<String> {
    let words: Vec<String> = shares
        .iter()
        .take(3)
        .filter_map(|share| {
            let service = share.service.as_ref()?;
            let way = share.caller.as_ref().map_or_else(|| service.clone(), |caller| format!("{caller} to {service}"));
            Some(format!("{way} {:.0} %", share.share * 100.0))
        })
        .collect();
    (!words.is_empty()).then(|| format!("charged to {}", words.join(", ")))
}
