use super::*;

/// Scenario: statements with comments, strings and identifiers full of operators and keywords.
/// Guarantees: only true operators count, so none of them is refused.
#[test]
fn text_inside_quotes_does_not_count() {
    let noise = "+1 OR UNION SELECT ".repeat(1_000);
    for sql in [format!("SELECT '{noise}'"), format!("SELECT 1 -- {noise}"), format!("SELECT 1 /* {noise} */")] {
        assert!(parse(&sql, 64 << 10).is_ok());
    }
}

/// Scenario: a list of 5,000 values, as programs write them.
/// Guarantees: accepted; a list is wide, not deep.
#[test]
fn long_lists_are_accepted() {
    let list = (0..5_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(parse(&format!("SELECT * FROM spans WHERE kind IN ({list})"), 64 << 10).is_ok());
}

/// Scenario: a planning thread that panics.
/// Guarantees: an internal error, and the next one runs.
#[tokio::test]
async fn a_panic_while_planning_is_an_error() {
    let failed = on_big_stack(|| -> u8 { panic!("as planned") }).await;
    assert!(matches!(failed, Err(QueryError::Internal { .. })));
    assert_eq!(on_big_stack(|| 7).await.unwrap(), 7);
}
