//! What changed about a flag: variants and versions that came, and shares that moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FlagTraffic, MINUTE};
use crate::deployment::SharePoint;
use crate::flag::{FlagChange, FlagChangeKind};
use crate::measure::slot_start;
use daytwo_storage::UnixNanos;

/// Changes that are kept of a flag, the newest.
const CHANGES_MAX: usize = 50;
/// A share that moves by so much, and by more than chance does, is a change.
const SHARE_MOVE: f64 = 0.1;
/// Points of a share's series, the newest.
const POINTS_MAX: usize = 360;
/// Minutes that the latest share is taken over.
const LATEST_NS: i64 = 120_000_000_000;

/// Traces with one variant, of all variants, by the minute.
pub(super) type Totals = BTreeMap<i64, u64>;

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

impl FlagTraffic {
    /// Traces with one variant by the minute.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        for (minute, count) in self.variants.values().flat_map(|traffic| &traffic.minutes) {
            let total = totals.entry(*minute).or_default();
            *total = total.saturating_add(*count);
        }
        totals.retain(|_, count| *count > 0);
        totals
    }

    /// A variant's share by the minute.
    pub(super) fn shares(&self, variant: &str, totals: &Totals) -> Vec<SharePoint> {
        let own = |minute: &i64| {
            self.variants.get(variant).and_then(|traffic| traffic.minutes.get(minute)).copied().unwrap_or(0)
        };
        let surplus = totals.len().saturating_sub(POINTS_MAX);
        let point = |(minute, traces): (&i64, &u64)| SharePoint {
            t_unix_nano: *minute,
            share: real(own(minute)) / real(*traces),
            traces: *traces,
        };
        totals.iter().skip(surplus).map(point).collect()
    }

    /// A variant's share in the last two minutes that had any trace.
    pub(super) fn latest_share(&self, variant: &str, totals: &Totals) -> Option<f64> {
        let newest = *totals.keys().next_back()?;
        let from = newest.saturating_sub(LATEST_NS).saturating_add(1);
        let all: u64 = totals.range(from..).map(|(_, count)| *count).sum();
        let own: u64 = self.variants.get(variant)?.minutes.range(from..).map(|(_, count)| *count).sum();
        Some(real(own) / real(all))
    }

    /// What changed, oldest first.
    pub(super) fn changes(&self, totals: &Totals) -> Vec<FlagChange> {
        let mut found: Vec<FlagChange> = Vec::new();
        let came = |kind, at: UnixNanos, text| FlagChange { kind, at_unix_nano: at.0, text };
        for (name, traffic) in &self.variants {
            found.extend(
                traffic.first.map(|at| came(FlagChangeKind::Variant, at, format!("variant {name} was seen first"))),
            );
            found.extend(self.moves(name, totals));
        }
        let versions = self.versions.iter();
        found.extend(
            versions.map(|(name, at)| came(FlagChangeKind::Version, *at, format!("version {name} was seen first"))),
        );
        found.sort_by(|left, right| {
            (left.at_unix_nano, left.kind, &left.text).cmp(&(right.at_unix_nano, right.kind, &right.text))
        });
        found.drain(..found.len().saturating_sub(CHANGES_MAX));
        found
    }

    /// Where a variant's share moved by [`SHARE_MOVE`] and more than chance would, against all minutes since it last did.
    fn moves(&self, variant: &Arc<str>, totals: &Totals) -> Vec<FlagChange> {
        let first = self
            .variants
            .get(variant)
            .and_then(|traffic| traffic.first)
            .map_or(i64::MIN, |first| slot_start(first, MINUTE));
        let mut found = Vec::new();
        let mut block = [0.0, 0.0];
        for point in self.shares(variant, totals).into_iter().filter(|point| point.t_unix_nano > first) {
            let traces = real(point.traces);
            let before = if block[1] > 0.0 { block[0] / block[1] } else { point.share };
            let chance = 4.0 * (0.25 / block[1].max(1.0) + 0.25 / traces).sqrt();
            if (point.share - before).abs() > SHARE_MOVE.max(chance) {
                let text =
                    format!("the share of {variant} went from {:.0} % to {:.0} %", before * 100.0, point.share * 100.0);
                found.push(FlagChange { kind: FlagChangeKind::Share, at_unix_nano: point.t_unix_nano, text });
                block = [0.0, 0.0];
            }
            block = [block[0] + point.share * traces, block[1] + traces];
        }
        found
    }
}
