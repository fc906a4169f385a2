use clap::CommandFactory;

use super::*;

/// Scenario: the command line as declared.
/// Guarantees: clap finds no contradiction in it.
#[test]
fn arguments_fit_together() {
    Cli::command().debug_assert();
}
