//! [`TraceFlag`]: what one trace saw of a feature flag.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::trace::flags::SPLIT;
use crate::trace::{Evaluation, StitchedTrace};

/// Flags of one trace that are told apart.
pub(crate) const FLAGS_MAX: usize = 64;

/// What a trace saw of a flag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceFlag {
    /// Environment of the service that asked, empty when missing.
    pub environment: Arc<str>,
    /// The flag.
    pub key: Arc<str>,
    /// The variant; `None` when it saw several.
    pub variant: Option<Arc<str>>,
    /// The reason given; of several the first by name that is not `split`, for then not all of it was drawn by lot.
    pub reason: Arc<str>,
    /// The newest version of the flag by name; empty when none was given.
    pub version: Arc<str>,
    /// The first of the services that asked, by name.
    pub service: Arc<str>,
}

impl TraceFlag {
    /// Whether the variant was drawn by lot.
    pub fn is_split(&self) -> bool {
        *self.reason == *SPLIT
    }

    fn take(&mut self, evaluation: &Evaluation, service: &Arc<str>) {
        if self.variant.as_ref() != Some(&evaluation.variant) {
            self.variant = None;
        }
        if *evaluation.reason != *SPLIT && (self.is_split() || evaluation.reason < self.reason) {
            self.reason = Arc::clone(&evaluation.reason);
        }
        self.version = Arc::clone((&self.version).max(&evaluation.version));
        self.service = Arc::clone((&self.service).min(service));
    }
}

/// The flags that a trace saw, sorted by environment and key.
pub(crate) fn flags_of(trace: &StitchedTrace) -> Vec<Arc<TraceFlag>> {
    let mut found: BTreeMap<(Arc<str>, Arc<str>), TraceFlag> = BTreeMap::new();
    for row in &trace.spans {
        for evaluation in row.span.flags.iter().flat_map(|flags| flags.iter()) {
            let resource = &row.span.resource;
            let key = (Arc::clone(&resource.environment), Arc::clone(&evaluation.key));
            if let Some(known) = found.get_mut(&key) {
                known.take(evaluation, &resource.service);
            } else {
                let flag = TraceFlag {
                    environment: Arc::clone(&resource.environment),
                    key: Arc::clone(&evaluation.key),
                    variant: Some(Arc::clone(&evaluation.variant)),
                    reason: Arc::clone(&evaluation.reason),
                    version: Arc::clone(&evaluation.version),
                    service: Arc::clone(&resource.service),
                };
                found.insert(key, flag);
            }
        }
    }
    found.into_values().take(FLAGS_MAX).map(Arc::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::stitch;
    use crate::trace::testing::server;

    fn asked(key: &str, variant: &str, reason: &str, version: &str) -> Evaluation {
        Evaluation { key: key.into(), variant: variant.into(), reason: reason.into(), version: version.into() }
    }

    /// Scenario: a trace whose services ask for one flag with one answer, for another with two answers, and for a third by lot and by rule,
    /// in every order of its spans.
    /// Guarantees: the variant seen, or none where there were two; only what was always drawn by lot is split; the order does not matter.
    #[test]
    fn a_trace_has_one_variant_or_is_mixed() {
        let mut spans = [
            server(1, None, "web", "GET /", 0, 9),
            server(2, Some(1), "pay", "charge", 1, 5),
            server(3, Some(1), "cart", "add", 6, 2),
        ];
        spans[0].flags =
            Some([asked("a", "on", "split", "2"), asked("b", "on", "split", ""), asked("c", "on", "split", "")].into());
        spans[1].flags = Some([asked("a", "on", "split", "1"), asked("b", "off", "split", "")].into());
        spans[2].flags = Some([asked("c", "on", "targeting_match", ""), asked("c", "on", "static", "")].into());
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let found = flags_of(&stitch(order.map(|at| spans[at].clone()).to_vec()));
            let rows: Vec<_> = found
                .iter()
                .map(|flag| (&*flag.key, flag.variant.as_deref(), &*flag.reason, &*flag.version, &*flag.service))
                .collect();
            let expected = [
                ("a", Some("on"), "split", "2", "pay"),
                ("b", None, "split", "", "pay"),
                ("c", Some("on"), "static", "", "cart"),
            ];
            assert_eq!(rows, expected);
        }
    }
}
