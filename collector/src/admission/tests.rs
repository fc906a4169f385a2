//! The byte budget by itself.

use super::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const EMPTY: Buffered = Buffered { bytes: 0, bytes_max: 1 << 40 };

/// Scenario: one request holds most of the budget; another asks for more than is left, then the first ends.
/// Guarantees: the second is refused while it must, admitted after, and all bytes come back.
#[tokio::test]
async fn budget_is_exact() {
    let admission = Arc::new(Admission::new(100, Duration::from_millis(100), 0));
    let mut first = admission.enter(PEER, 60, EMPTY).unwrap();
    assert!(first.prepare(80).await && first.try_spend(80));
    assert_eq!(admission.inflight_bytes(), 80);
    assert_eq!(admission.enter(PEER, 21, EMPTY).unwrap_err().reason, Reason::Budget);
    let mut second = admission.enter(PEER, 0, EMPTY).unwrap();
    assert!(!second.prepare(21).await && !second.try_spend(21));
    assert_eq!((first.most(), second.most()), (20, 100));
    assert_eq!(admission.inflight_bytes(), 80, "a refusal takes nothing");
    assert!(second.try_spend(20) && !second.spend(1).await);
    drop(first);
    assert!(second.spend(50).await && second.prepare(30).await);
    assert_eq!(admission.inflight_bytes(), 100);
    second.give_back_unused();
    assert_eq!(admission.inflight_bytes(), 70);
    second.finish();
    assert_eq!(admission.inflight_bytes(), 0);
}

/// Scenario: a request that will take more than the whole budget, alone and beside another.
/// Guarantees: it comes in with all of the budget when it is alone; what it lacks later is found then.
#[tokio::test]
async fn a_large_one_comes_in_alone() {
    let admission = Arc::new(Admission::new(100, Duration::ZERO, 0));
    let other = admission.enter(PEER, 1, EMPTY).unwrap();
    assert!(admission.enter(PEER, 500, EMPTY).is_err());
    drop(other);
    let large = admission.enter(PEER, 500, EMPTY).unwrap();
    assert_eq!((admission.inflight_bytes(), large.most()), (100, 100));
}
