use std::collections::BTreeSet;

use super::*;

fn services_of(step: &Step, found: &mut BTreeSet<&'static str>) {
    match step {
        Step::Call(operation, _) | Step::Publish(operation) => reached(operation, found),
        Step::Sometimes(_, inner) | Step::EachItem(_, inner) => services_of(inner, found),
        Step::Parallel(steps) => steps.iter().for_each(|step| services_of(step, found)),
        Step::Query(_) | Step::Internal(..) => {}
    }
}

fn reached(operation: &Operation, found: &mut BTreeSet<&'static str>) {
    found.insert(operation.service);
    operation.steps.iter().for_each(|step| services_of(step, found));
}

/// Scenario: the tables as written.
/// Guarantees: journeys add up to 100 %, and together they reach every service and no unknown one.
#[test]
fn journeys_cover_the_shop() {
    let mut found = BTreeSet::new();
    JOURNEYS.iter().for_each(|journey| reached(journey.entry, &mut found));
    let known: BTreeSet<_> = SERVICES.iter().map(|service| service.name).collect();
    assert_eq!(found, known);
    assert_eq!(JOURNEYS.iter().map(|journey| journey.percent).sum::<u32>(), 100);
}
