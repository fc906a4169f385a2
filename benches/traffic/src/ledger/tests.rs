use std::collections::BTreeMap;
use std::io::Write;

use super::*;

fn entry(seq: u64, outcome: Outcome) -> Entry {
    Entry { seq, spans: 3, outcome, attempts: 1, lost_before: false }
}

fn table(rows: &[(u64, u64, u64)]) -> BTreeMap<u64, Stored> {
    rows.iter().map(|&(seq, rows, spans)| (seq, Stored { rows, spans })).collect()
}

/// Scenario: each answer, with and without a lost attempt before it.
/// Guarantees: only an acceptance is an ACK; what the collector may have seen is never called refused.
#[test]
fn outcomes_never_claim_too_much() {
    let reason = String::new;
    let cases = [
        (Answer::Accepted { rejected_spans: 0 }, false, Outcome::Ack),
        (Answer::Accepted { rejected_spans: 0 }, true, Outcome::Ack),
        (Answer::Refused { reason: reason() }, false, Outcome::Refused),
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

/// Scenario: a ledger of all outcomes is written and read; then its last line is cut, then one in the middle.
/// Guarantees: it reads back; a cut last line counts as none; damage elsewhere is an error and no short ledger.
#[test]
fn a_ledger_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let written: Vec<Entry> = (0..).zip(Outcome::ALL).map(|(seq, outcome)| entry(seq, outcome)).collect();
    let mut ledger = Ledger::create(&path, "a run", 3, "Grpc").unwrap();
    written.iter().for_each(|entry| ledger.note(*entry).unwrap());
    assert_eq!(read(&path).unwrap(), ("a run".to_owned(), written.clone()));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 5]).unwrap();
    assert_eq!(read(&path).unwrap().1, written[..3]);
    let mut broken = File::create(&path).unwrap();
    broken.write_all(text.replacen("ACK", "ACKK", 1).as_bytes()).unwrap();
    assert!(read(&path).is_err());
}

/// Scenario: for each outcome, a table with none, a part, all, and twice all of the request's spans.
/// Guarantees: exactly the broken promises are named, and for what they are.
#[test]
fn each_broken_promise_is_named() {
    let cases = [
        (Outcome::Ack, [true, true, false, true]),
        (Outcome::Nack, [false, true, false, true]),
        (Outcome::Unknown, [false, true, false, true]),
        (Outcome::Refused, [false, true, true, true]),
    ];
    let tables = [table(&[]), table(&[(7, 2, 2)]), table(&[(7, 3, 3)]), table(&[(7, 6, 3)])];
    for (outcome, broken) in cases {
        for (table, broken) in tables.iter().zip(broken) {
            let checked = check(&[entry(7, outcome)], table, None);
            assert_eq!(!checked.is_clean(), broken, "{outcome:?} {table:?}: {checked:?}");
        }
    }
    let [none, part, _, twice] = &tables;
    assert_eq!(check(&[entry(7, Outcome::Ack)], none, None).lost, [7]);
    assert_eq!(check(&[entry(7, Outcome::Ack)], part, None).lost, [7]);
    assert_eq!(check(&[entry(7, Outcome::Unknown)], part, None).torn, [7]);
    assert_eq!(check(&[entry(7, Outcome::Unknown)], twice, None).doubled, [7]);
}

/// Scenario: the table holds a request that has no line, in part; how many spans it should have is known, and is not.
/// Guarantees: it is compared as one without an answer.
#[test]
fn requests_without_a_line_are_compared_too() {
    assert_eq!(check(&[], &table(&[(7, 2, 2)]), Some(3)).torn, [7]);
    assert_eq!(check(&[], &table(&[(7, 2, 2)]), None).unanswered_yet_stored, 1);
    assert_eq!(check(&[], &table(&[(7, 4, 2)]), None).doubled, [7]);
}

/// Scenario: an answer as the server gives it, an incomplete one, and one of another form.
/// Guarantees: the first is read; the others are errors, for nothing can be said about losses then.
#[test]
fn an_incomplete_answer_proves_nothing() {
    let answer = |partial: Value| json!({"rows": [["7", "6", "3"]], "truncated": false, "partial": partial});
    assert_eq!(stored(&answer(json!([]))).unwrap(), table(&[(7, 6, 3)]));
    assert!(stored(&answer(json!(["a file is damaged"]))).unwrap_err().contains("incomplete"));
    assert!(stored(&json!({"rows": [[null, "6", "3"]]})).is_err());
    assert!(question("it's").contains("'it''s'"));
}
