//! The crate graph is the architecture: which of our crates may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Scenario: `cargo metadata` of the workspace.
/// Guarantees: collector and query know storage, dashboards knows query and the board, the binary knows all; nothing else.
#[test]
fn crates_depend_in_one_direction() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("daytwo-storage", &[] as &[&str]),
        ("daytwo-collector", &["daytwo-storage"]),
        ("daytwo-query", &["daytwo-storage"]),
        ("daytwo-ui", &[]),
        ("daytwo-dashboards", &["daytwo-query", "daytwo-ui"]),
        ("daytwo-traffic", &[]),
        ("daytwo-conformance", &[]),
    ]);
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(&expected) = package["name"].as_str().and_then(|name| allowed.get(name)) else { continue };
        let ours: BTreeSet<&str> = dependencies(package).filter(|name| name.starts_with("daytwo-")).collect();
        assert_eq!(ours, expected.iter().copied().collect(), "{}", package["name"]);
    }
}

/// Scenario: the same, for the libraries that must not leak.
/// Guarantees: DataFusion stays in query, OTLP and gRPC in the collector (and the traffic that talks to it).
#[test]
fn foreign_types_stop_at_their_crate() {
    let owners: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("datafusion", &["daytwo-query"] as &[&str]),
        ("deltalake-core", &["daytwo-storage"]),
        ("opentelemetry-proto", &["daytwo-collector", "daytwo-traffic", "daytwo-bench-ingest", "daytwo-verdicts"]),
        ("tonic", &["daytwo-collector", "daytwo-traffic", "daytwo-bench-ingest"]),
        ("axum", &["daytwo-collector", "daytwo-dashboards"]),
    ]);
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        for dependency in dependencies(package).filter(|_| name.starts_with("daytwo")) {
            let allowed = owners.get(dependency).is_none_or(|owners| owners.contains(&name));
            assert!(allowed, "{name} must not depend on {dependency}");
        }
    }
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Names of what a package needs to build, tests aside.
fn dependencies(package: &Value) -> impl Iterator<Item = &str> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"].is_null()).map(|dependency| dependency["name"].as_str().unwrap())
}
