//! Structure: does the new version make more calls per trace?

/// Calls of one journey: traces, calls and the sum of their squares, before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CallCounts {
    pub(super) traces: [u64; 2],
    pub(super) calls: [u64; 2],
    pub(super) squares: [u64; 2],
}

/// What the journeys say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CallTest {
    pub(super) before: f64,
    pub(super) after: f64,
    pub(super) z: f64,
    /// Comparable with that of a rank test on as many traces.
    pub(super) information: f64,
}

impl CallTest {
    /// Whether the rise is large enough to matter: a fifth more, and one call in five traces more.
    pub(super) fn is_material(&self) -> bool {
        self.after > self.before * 1.2 && self.after > self.before + 0.2
    }
}

/// Variance of calls per trace is taken to be at least this, so that "always one" against "always two" has a z.
const VARIANCE_MIN: f64 = 0.05;

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Mean calls per trace and their variance.
fn moments(traces: u64, calls: u64, squares: u64) -> (f64, f64) {
    let mean = real(calls) / real(traces);
    (mean, (real(squares) / real(traces) - mean * mean).max(VARIANCE_MIN))
}

/// Compares means within journeys; `None` without a journey that has traces on both sides.
pub(super) fn test(strata: &[CallCounts]) -> Option<CallTest> {
    let (mut weights, mut before, mut after, mut variance) = (0.0, 0.0, 0.0, 0.0);
    for one in strata.iter().filter(|one| one.traces.iter().all(|traces| *traces > 0)) {
        let [n, m] = one.traces.map(real);
        let (mean_before, variance_before) = moments(one.traces[0], one.calls[0], one.squares[0]);
        let (mean_after, variance_after) = moments(one.traces[1], one.calls[1], one.squares[1]);
        let weight = n * m / (n + m);
        weights += weight;
        before += weight * mean_before;
        after += weight * mean_after;
        variance += weight * weight * (variance_before / n + variance_after / m);
    }
    if weights <= 0.0 {
        return None;
    }
    let (before, after, deviation) = (before / weights, after / weights, variance.sqrt() / weights);
    Some(CallTest { before, after, z: (after - before) / deviation, information: 12.0 * weights })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: always one call against always three, and one against one.
    /// Guarantees: the first is material and far from chance, the second is neither.
    #[test]
    fn more_calls_show() {
        let chatty = CallCounts { traces: [100, 100], calls: [100, 300], squares: [100, 900] };
        let got = test(&[chatty]).unwrap();
        assert!(got.is_material() && got.z > 20.0 && (got.after - 3.0).abs() < 1e-9, "{got:?}");
        let same = CallCounts { traces: [100, 80], calls: [100, 80], squares: [100, 80] };
        let got = test(&[same]).unwrap();
        assert!(!got.is_material() && got.z.abs() < 1e-9);
        assert!(test(&[CallCounts::default()]).is_none());
    }
}
