use clap::CommandFactory;

use super::*;

/// Scenario: the command line as declared.
/// Guarantees: clap finds no contradiction in it.
#[test]
fn arguments_fit_together() {
    Cli::command().debug_assert();
}

/// Scenario: a line of /proc/PID/stat of a process whose name holds spaces and brackets.
/// Guarantees: user and system time are found behind the name.
#[test]
fn cpu_time_is_read_behind_the_name() {
    let stat = "42 (day two) (x)) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 9 0 1 2 3";
    let ticks = report::as_f64(rustix::param::clock_ticks_per_second());
    assert!((server::cpu_seconds(stat) - 400.0 / ticks).abs() < 1e-9);
}
