//! The cases that are no golden inputs, by what they are about.

mod browser;
mod compression;
mod hostile;
mod http1;
mod http2;
mod json;
mod protocol;
mod refusals;
mod sizes;

use crate::client::AGAIN;
use crate::report::{Case, Level};
use crate::suite::Suite;
use crate::transport::Transport;

/// Runs all of them. Those that wait run beside those that work.
pub(crate) async fn run(suite: &Suite) {
    let quick = async {
        protocol::run(suite).await;
        compression::run(suite).await;
        refusals::run(suite).await;
        json::run(suite).await;
        browser::run(suite).await;
        hostile::run(suite).await;
        sizes::run(suite).await;
    };
    tokio::join!(quick, http1::run(suite), http2::run(suite));
}

/// Shorthand for a case that the specification demands.
const fn must<'c>(item: &'static str, name: &'c str, expected: &'c str) -> Case<'c> {
    Case { item, level: Level::Must, name, expected }
}

/// Shorthand for a case that the specification recommends.
const fn should<'c>(item: &'static str, name: &'c str, expected: &'c str) -> Case<'c> {
    Case { item, level: Level::Should, name, expected }
}

/// Shorthand for what Daytwo promises beyond the specification.
const fn ours<'c>(item: &'static str, name: &'c str, expected: &'c str) -> Case<'c> {
    Case { item, level: Level::Daytwo, name, expected }
}

/// What holds for all answers of the run together. No request of the suite deserves anything else.
pub(crate) fn whole_run(suite: &Suite) {
    let grpc = must("O-40", "codes of the whole run", "never CANCELLED, UNKNOWN, ABORTED, OUT_OF_RANGE, DATA_LOSS");
    let http =
        must("O-41", "statuses of the whole run", "never 408, 500, 507 nor another 5xx that clients do not retry");
    for transport in Transport::ALL {
        let outcomes = suite.client.outcomes();
        let mut seen: Vec<String> = Vec::new();
        let mut bad: Vec<String> = Vec::new();
        for ((_, outcome), count) in outcomes.iter().filter(|((found, _), _)| *found == transport) {
            let code: u32 = outcome.split(',').next().and_then(|code| code.parse().ok()).unwrap_or(0);
            let is_bad = match transport {
                Transport::Grpc => matches!(code, 1 | 2 | 10 | 11 | 15),
                Transport::HttpProtobuf | Transport::HttpJson => {
                    code == 408 || code >= 500 && !outcome.ends_with(AGAIN)
                }
            };
            let list = if is_bad || outcome == "no answer" { &mut bad } else { &mut seen };
            list.push(format!("{count} x {outcome}"));
        }
        let verdict = if bad.is_empty() { Ok(seen.join(", ")) } else { Err(bad.join(", ")) };
        suite.note(if transport == Transport::Grpc { grpc } else { http }, Some(transport), verdict);
    }
}
