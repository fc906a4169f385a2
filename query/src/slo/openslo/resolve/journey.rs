//! What an indicator of journeys counts: whole traces with one root, and what they must do.

use super::super::fields::Faults;
use super::super::yaml::Text;
use super::calls::{Counted, Texts, same, signal};
use crate::slo::{Calls, Journey, Step};

/// The one scope there is beside calls.
const JOURNEY: &str = "journey";

/// Steps, or critical services, of one journey.
const LIST_MAX: usize = 16;

/// Fields that calls do not have.
pub(super) fn refuse(good: &Counted, total: &Counted, faults: &Faults) -> Option<()> {
    let lists =
        [("steps", &good.steps), ("critical", &good.critical), ("steps", &total.steps), ("critical", &total.critical)];
    let lines = lists.iter().filter_map(|(name, list)| Some((*name, list.as_ref()?.line)));
    let roots = [&good.root, &total.root].into_iter().flatten().map(|root| ("root", root.line));
    let mut found = roots.chain(lines).peekable();
    if found.peek().is_none() {
        return Some(());
    }
    found.for_each(|(name, line)| faults.add(line, format!("{name} needs scope: {JOURNEY}")));
    None
}

pub(super) fn joined(good: &Counted, total: &Counted, faults: &Faults) -> Option<Calls> {
    // Both are looked at, so that the faults of both are named.
    let mut whole = is_of_journeys(good, faults) & is_of_journeys(total, faults);
    whole &= same("environment", good.environment.as_ref(), total.environment.as_ref(), faults);
    if let (Some(own), Some(all)) = (&good.root, &total.root) {
        whole &= same("root", Some(own), Some(all), faults);
    }
    let root = good.root.as_ref().and_then(|root| place("root", root, faults));
    let steps = good.steps.as_ref().map_or_else(|| Some(Vec::new()), |steps| self::steps(steps, faults));
    let critical = good.critical.as_ref().map_or_else(|| Some(Vec::new()), |critical| names(critical, faults));
    let kind = signal(good, faults);
    let (root, journey) = (root?, Journey { steps: steps?, critical: critical? });
    let calls = Calls {
        service: root.service.into(),
        operation: Some(root.operation.into()),
        environment: good.environment.as_ref().or(total.environment.as_ref()).map(|text| text.value.as_str().into()),
        kind: kind?,
        journey: Some(journey),
    };
    whole.then_some(calls)
}

/// Good and total alike say that they are of journeys, and of which.
fn is_of_journeys(counted: &Counted, faults: &Faults) -> bool {
    let mut is = true;
    let mut fault = |line, message: String| {
        faults.add(line, message);
        is = false;
    };
    match &counted.scope {
        None => fault(counted.line, format!("good and total both need scope: {JOURNEY}")),
        Some(scope) if scope.value != JOURNEY => {
            fault(scope.line, format!("scope {} is not known; the one there is is {JOURNEY}", scope.value));
        }
        Some(_) => {}
    }
    if counted.root.is_none() {
        fault(counted.line, "a journey needs root, such as \"frontend:POST /checkout\"".to_owned());
    }
    for (name, text) in [("service", &counted.service), ("operation", &counted.operation)] {
        if let Some(text) = text {
            fault(text.line, format!("a journey is named by its root; {name} has no place beside it"));
        }
    }
    is
}

/// A service and an operation, parted by the first colon.
fn place(what: &str, text: &Text, faults: &Faults) -> Option<Step> {
    match text.value.split_once(':') {
        Some((service, operation)) if !service.is_empty() && !operation.is_empty() => {
            Some(Step { service: service.to_owned(), operation: operation.to_owned() })
        }
        _ => {
            let message =
                format!("{what} {} must be a service and an operation, as in \"payment:POST /charge\"", text.value);
            faults.add(text.line, message);
            None
        }
    }
}

fn steps(given: &Texts, faults: &Faults) -> Option<Vec<Step>> {
    let listed = listed("steps", given, faults)?;
    let steps: Vec<Option<Step>> = listed.iter().map(|text| place("step", text, faults)).collect();
    steps.into_iter().collect()
}

fn names(given: &Texts, faults: &Faults) -> Option<Vec<String>> {
    Some(listed("critical", given, faults)?.iter().map(|text| text.value.clone()).collect())
}

/// The items, each once and not too many.
fn listed<'g>(what: &str, given: &'g Texts, faults: &Faults) -> Option<&'g [Text]> {
    let items = given.value.as_slice();
    if items.len() > LIST_MAX {
        faults.add(given.line, format!("{what} has {} items; at most {LIST_MAX} are read", items.len()));
        return None;
    }
    let again = items.iter().enumerate().filter(|(at, item)| items.iter().take(*at).any(|other| other == *item));
    let mut again = again.map(|(_, item)| item).peekable();
    if again.peek().is_none() {
        return Some(items);
    }
    again.for_each(|item| faults.add(item.line, format!("{} stands twice in {what}", item.value)));
    None
}
