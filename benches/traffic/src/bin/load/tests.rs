use clap::CommandFactory;
use daytwo_traffic::export::{Answer, Sent};

use super::*;
use ledger::Outcome;

/// Scenario: the command line as declared.
/// Guarantees: clap finds no contradiction in it.
#[test]
fn arguments_fit_together() {
    Cli::command().debug_assert();
}

/// Scenario: each answer, with and without a lost attempt before it.
/// Guarantees: only an acceptance is an ACK; what the collector may have seen is never called refused.
#[test]
fn outcomes_never_claim_too_much() {
    let reason = String::new;
    let cases = [
        (Answer::Accepted { rejected_spans: 0 }, false, Outcome::Ack),
        (Answer::Accepted { rejected_spans: 0 }, true, Outcome::Ack),
        (Answer::Refused { reason: reason() }, false, Outcome::Nack),
        (Answer::Retry { after: None, reason: reason() }, false, Outcome::Nack),
        (Answer::Retry { after: None, reason: reason() }, true, Outcome::Unknown),
        (Answer::Refused { reason: reason() }, true, Outcome::Unknown),
        (Answer::Lost { reason: reason() }, false, Outcome::Unknown),
    ];
    for (answer, lost_before, expected) in cases {
        let sent = Sent { answer, attempts: 1, lost_before };
        assert_eq!(Outcome::of(&sent), expected, "{sent:?}");
    }
}

/// Scenario: a line of /proc/PID/stat of a process whose name holds spaces and brackets.
/// Guarantees: user and system time are found behind the name.
#[test]
fn cpu_time_is_read_behind_the_name() {
    let stat = "42 (day two) (x)) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 9 0 1 2 3";
    let ticks = report::as_f64(rustix::param::clock_ticks_per_second());
    assert!((server::cpu_seconds(stat) - 400.0 / ticks).abs() < 1e-9);
}
