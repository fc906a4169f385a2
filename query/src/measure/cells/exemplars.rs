//! [`Exemplars`]: the traces to look at behind a cell, the slowest and the slowest that failed.

use daytwo_storage::TraceId;

/// Traces of each of the two kinds.
pub(super) const EACH_MAX: usize = 2;

/// A trace behind a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exemplar {
    /// Duration of the trace's span that is in the cell; of several the longest.
    pub duration_ns: i64,
    /// The trace.
    pub trace_id: TraceId,
}

/// Few traces, longest first. What is here depends on what was added and not on the order, since of each trace the longest span counts and
/// traces with equal durations have an order of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    pub(super) fn add(&mut self, new: Exemplar) {
        if let Some(known) = self.0.iter_mut().find(|known| known.trace_id == new.trace_id) {
            known.duration_ns = known.duration_ns.max(new.duration_ns);
        } else if self.0.len() < EACH_MAX || self.0.last().is_some_and(|last| *last < new) {
            self.0.truncate(EACH_MAX - 1);
            self.0.push(new);
        }
        self.0.sort_unstable_by(|one, other| other.cmp(one));
    }

    /// Takes out a span. Which trace would be next nobody knows: it is that of the spans still to be added, or none.
    pub(super) fn remove(&mut self, old: Exemplar) {
        self.0.retain(|known| *known != old);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|exemplar| self.add(*exemplar));
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Exemplar> {
        self.0.iter()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Exemplar>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exemplar((duration_ns, trace): (i64, u8)) -> Exemplar {
        Exemplar { duration_ns, trace_id: TraceId::from_bytes(&[trace; 16]).unwrap() }
    }

    proptest! {
        /// Scenario: spans of a few traces in any order, over two lists that are merged; one trace is taken out and put back with a span more.
        /// Guarantees: those of a sort by longest span of each trace.
        #[test]
        fn any_order_gives_the_longest(
            spans in prop::collection::vec((0_i64..50, 1_u8..12), 1..40),
            split in 0_usize..40,
            again in 0_usize..40,
            more in 0_i64..50,
        ) {
            let mut halves = [Exemplars::default(), Exemplars::default()];
            for (at, span) in spans.iter().enumerate() {
                halves[usize::from(at < split)].add(exemplar(*span));
            }
            let [mut all, other] = halves;
            all.merge(&other);
            let trace = spans[again % spans.len()].1;
            let own: Vec<(i64, u8)> = spans.iter().filter(|span| span.1 == trace).copied().collect();
            own.iter().for_each(|span| all.remove(exemplar(*span)));
            own.iter().chain(&[(more, trace)]).for_each(|span| all.add(exemplar(*span)));
            let mut longest: Vec<Exemplar> = (1..12_u8)
                .filter_map(|id| {
                    let all = spans.iter().copied().chain([(more, trace)]);
                    let longest = all.filter(|span| span.1 == id).map(|span| span.0).max()?;
                    Some(exemplar((longest, id)))
                })
                .collect();
            longest.sort_unstable_by(|one, other| other.cmp(one));
            longest.truncate(EACH_MAX);
            prop_assert_eq!(all.iter().copied().collect::<Vec<_>>(), longest);
        }
    }
}
