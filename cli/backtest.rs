//! `daytwo backtest`: what an objective or a gate would have done with other numbers, asked of a running server.

use std::process::ExitCode;

use daytwo_dashboards::encoded;
use serde_json::Value;

use super::client::Client;
use super::{Failure, Outcome, runtime, say, table};
use crate::{BacktestAction, BacktestFormat, GateTrialArgs, ObjectiveTrialArgs};

/// `daytwo backtest …`.
pub(crate) fn backtest(action: BacktestAction) -> Outcome {
    let (url, format, path, render): (_, _, _, fn(&Value) -> String) = match action {
        BacktestAction::Objective(args) => (args.url.clone(), args.format, objective_path(&args), objectives),
        BacktestAction::Gate(args) => (args.url.clone(), args.format, gate_path(&args), deployments),
    };
    let client = Client::new(&url)?;
    let answer: Result<Value, Failure> = runtime()?.block_on(client.get(&path));
    let answer = answer?;
    match format {
        BacktestFormat::Json => say(&format!("{answer:#}\n"))?,
        BacktestFormat::Table => say(&render(&answer))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A path with the parameters that are there.
fn path(of: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_ref()?))));
    format!("/api/v1/backtest/{of}?{}", given.collect::<Vec<_>>().join("&"))
}

fn objective_path(args: &ObjectiveTrialArgs) -> String {
    let parameters = [
        ("service", Some(args.service.clone())),
        ("operation", args.operation.clone()),
        ("env", args.env.clone()),
        ("target", Some(args.target.clone())),
        ("threshold_ms", args.threshold_ms.clone()),
        ("window", args.window.clone()),
        ("from", args.from.clone()),
        ("to", args.to.clone()),
    ];
    path("objective", &parameters)
}

fn gate_path(args: &GateTrialArgs) -> String {
    let number = |value: Option<f64>| value.map(|value| value.to_string());
    let parameters = [
        ("alpha", number(args.alpha)),
        ("material", number(args.material)),
        ("margin", number(args.margin)),
        ("floor_ms", number(args.floor_ms)),
        ("service", args.service.clone()),
        ("env", args.env.clone()),
    ];
    path("gate", &parameters)
}

fn objectives(answer: &Value) -> String {
    let row = |one: &Value| {
        let of = |name: &str| one[name].clone();
        vec![
            of("objective"),
            of("target"),
            of("good"),
            of("bad"),
            share(&one["sli"]),
            share(&one["budget_left"]),
            of("pages"),
            of("tickets"),
            of("firing_s"),
        ]
    };
    let columns = ["objective", "target", "good", "bad", "sli", "budget left", "pages", "tickets", "firing s"];
    let rows: Vec<Vec<Value>> = answer["objectives"].as_array().into_iter().flatten().map(row).collect();
    table::rows(&columns, &rows)
}

fn deployments(answer: &Value) -> String {
    let row = |one: &Value| {
        let (now, tried) = (&one["in_force"], &one["tried"]);
        let said = |of: &Value| ["state", "failed_after_s", "passed_after_s"].map(|name| of[name].clone());
        let named = ["service", "version", "previous_version"].map(|name| one[name].clone());
        named.into_iter().chain(said(now)).chain(said(tried)).collect()
    };
    let columns = [
        "service",
        "version",
        "before",
        "in force",
        "FAIL after s",
        "PASS after s",
        "tried",
        "FAIL after s",
        "PASS after s",
    ];
    let rows: Vec<Vec<Value>> = answer["deployments"].as_array().into_iter().flatten().map(row).collect();
    table::rows(&columns, &rows)
}

/// A share in percent; what is not known stays so.
fn share(value: &Value) -> Value {
    value.as_f64().map_or(Value::Null, |share| format!("{:.3} %", share * 100.0).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Scenario: answers of both back-tests, with unknowns.
    /// Guarantees: a row each, in the order of the answer, unknowns told apart from zero.
    #[test]
    fn answers_become_tables() {
        let answer = json!({"objectives": [
            {"objective": "availability", "target": 0.999, "good": 90, "bad": 10, "sli": 0.9, "budget_left": -99.0, "pages": 2, "tickets": 1, "firing_s": 60},
            {"objective": "availability", "target": 0.9, "good": 0, "bad": 0, "sli": null, "budget_left": null, "pages": 0, "tickets": 0, "firing_s": 0},
        ]});
        let shown = objectives(&answer);
        assert!(shown.contains("90.000 %  -9900.000 %  2"), "{shown}");
        assert!(shown.contains("NULL"), "{shown}");
        let outcome = |state: &str, failed: Option<u64>| json!({"state": state, "failed_after_s": failed, "passed_after_s": null});
        let answer = json!({"deployments": [{"service": "pay", "version": "v2", "previous_version": "v1",
            "in_force": outcome("FAIL", Some(40)), "tried": outcome("CONTINUE", None)}]});
        let shown = deployments(&answer);
        let row = shown.lines().nth(2).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["pay", "v2", "v1", "FAIL", "40", "NULL", "CONTINUE", "NULL", "NULL"]
        );
    }

    /// Scenario: parameters with characters that mean something in a URL, and absent ones.
    /// Guarantees: only what is given is asked for, encoded.
    #[test]
    fn parameters_are_encoded() {
        let asked =
            path("gate", &[("service", Some("a&b c".to_owned())), ("env", None), ("alpha", Some("0.01".to_owned()))]);
        assert_eq!(asked, "/api/v1/backtest/gate?service=a%26b%20c&alpha=0.01");
    }
}
