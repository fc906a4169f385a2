//! `daytwo verdict`: the gate for CI.

use std::process::ExitCode;
use std::time::Duration;

use daytwo_dashboards::encoded;
use serde_json::Value;
use tokio::time::Instant;

use super::client::Client;
use super::{Failure, Outcome, runtime, say};
use crate::VerdictArgs;

/// How often the verdict is asked for while waiting; the server looks every few seconds itself.
const INTERVAL: Duration = Duration::from_secs(2);

/// Exit code for a verdict that is neither pass nor fail, and for not getting one.
const UNDECIDED: u8 = 2;

/// `daytwo verdict …`.
pub(crate) fn verdict(args: VerdictArgs) -> Outcome {
    let client = Client::new(&args.url)?;
    match runtime()?.block_on(wait_for_verdict(&client, &args)) {
        Ok(answer) => {
            say(&summary(&answer))?;
            Ok(exit_code(&answer))
        }
        Err(failure) => {
            super::report(&failure);
            Ok(ExitCode::from(UNDECIDED))
        }
    }
}

/// Asks until the verdict stands or the time is over. A release that is not seen yet, or a server that is not up yet, is
/// waited for as well.
async fn wait_for_verdict(client: &Client, args: &VerdictArgs) -> Result<Value, Failure> {
    let deadline = Instant::now() + args.wait.unwrap_or_default();
    let env = args.env.as_ref().map_or_else(String::new, |env| format!("?env={}", encoded(env)));
    let path = format!("/api/v1/deployments/{}/{}/verdict{env}", encoded(&args.service), encoded(&args.version));
    loop {
        let answer = client.get(&path).await;
        let settled = match &answer {
            Ok(answer) => is_final(answer),
            Err(Failure::Refused { status, .. }) => *status == 400,
            Err(_) => false,
        };
        if settled || Instant::now() + INTERVAL > deadline {
            return answer;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn is_final(answer: &Value) -> bool {
    answer["result"]["verdict"] != "continue"
}

fn exit_code(answer: &Value) -> ExitCode {
    match answer["result"]["verdict"].as_str() {
        Some("pass") => ExitCode::SUCCESS,
        Some("fail") => ExitCode::FAILURE,
        _ => ExitCode::from(UNDECIDED),
    }
}

/// The verdict in a few lines, for the log of a pipeline.
fn summary(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let mut lines = vec![format!("{}: {}", text("state"), text("headline"))];
    for finding in answer["findings"].as_array().into_iter().flatten().take(5) {
        lines.extend(finding["why"].as_str().map(|why| format!("  {why}")));
    }
    let change = text("what_would_change");
    if !change.is_empty() {
        lines.push(format!("  {change}"));
    }
    lines.join("\n") + "\n"
}
