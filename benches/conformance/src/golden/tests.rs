use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn config(run: u64) -> GoldenConfig {
    GoldenConfig { seed: 7, run, each: 10, compressions: Compression::ALL.to_vec() }
}

/// Scenario: the default set, made twice from one seed.
/// Guarantees: at least 1,500 inputs, the same each time, each family in every transport and compression that it knows.
#[test]
fn inputs_come_from_the_seed() {
    let (first, second): (Vec<Input>, Vec<Input>) = (inputs(&config(9)).collect(), inputs(&config(9)).collect());
    assert!(first.len() >= 1_500, "{}", first.len());
    assert!(first.iter().zip(&second).all(|(a, b)| a.body == b.body));
    let mut count: BTreeMap<(&str, Transport), usize> = BTreeMap::new();
    first.iter().for_each(|input| *count.entry((input.family.name, input.transport)).or_default() += 1);
    assert!(count.values().all(|&count| count == 30), "{count:?}");
}

/// Scenario: the same set for two runs.
/// Guarantees: no two storable spans share their ids, within a run (except where a family is about that) or over runs.
#[test]
fn ids_are_the_run_s_own() {
    let mut seen = BTreeSet::new();
    for run in [9, 10] {
        for input in inputs(&config(run)).filter(|input| input.family.item != "O-76") {
            for span in input.request.spans().filter(|span| span.is_storable()) {
                assert!(seen.insert((span.trace_id.clone(), span.span_id.clone())), "{span:?}");
            }
        }
    }
}

/// Scenario: families that are about bad spans, and families that are about odd ones.
/// Guarantees: the former reject some, or all; the latter none; so that no family tests nothing.
#[test]
fn families_are_what_they_say() {
    for input in inputs(&config(9)) {
        let (rejected, received) = (input.request.rejected(), input.request.received());
        let name = input.family.name;
        match (input.family.item, name) {
            ("O-33", _) => assert!(rejected == received && received > 0, "{name}"),
            ("O-32" | "O-70" | "O-83", _) => assert!(0 < rejected && rejected < received, "{name}"),
            (_, name) if name.contains("wrong type") || name.contains("nobody") || name.contains("base64 among") => {
                assert!(0 < rejected && rejected < received, "{name}");
            }
            ("O-31", _) => assert_eq!(received, 0, "{name}"),
            ("O-42", _) => assert!(input.request.broken.is_some(), "{name}"),
            _ => assert!(rejected == 0 && received > 0, "{name}"),
        }
    }
}
