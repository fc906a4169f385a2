//! [`LogHistogram`]: sparse counts on a logarithmic grid, exact to merge.
//!
//! At scale `s` bucket `k` holds values in `[2^(k/2^s), 2^((k+1)/2^s))`. Scale 7 is 0.54 % wide, so the
//! geometric middle is at most 0.28 % off. A coarser scale is the same grid with its lower bits cut, hence exact.

mod kept;

use std::sync::LazyLock;

/// Scale of new histograms.
pub(crate) const SCALE_MAX: u32 = 7;

const STEPS: usize = 1 << SCALE_MAX;

/// Lower bounds of the 128 steps within `[1, 2)`, as the 63 bits after the binary point.
static BOUNDS: LazyLock<[u64; STEPS]> = LazyLock::new(|| {
    let mut bounds = [0_u64; STEPS];
    let mut exponent = 0.0_f64;
    for bound in &mut bounds {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 <= x < 2, so it fits 64 bits")]
        let fixed = ((exponent / 128.0).exp2() * 9_223_372_036_854_775_808.0) as u64;
        *bound = fixed;
        exponent += 1.0;
    }
    bounds
});

/// The step that each 256th of `[1, 2)` begins in. A step is wider than that, so at most one other begins within.
static FIRST_STEPS: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let mut start = 1_u64 << 63;
    [(); 256].map(|()| {
        let step = BOUNDS.partition_point(|bound| *bound <= start).saturating_sub(1);
        start = start.saturating_add(1 << 55);
        u8::try_from(step).unwrap_or(0)
    })
});

/// Geometric middles of all buckets at each scale, in whole units of the values.
static MIDDLES: LazyLock<Vec<Vec<u64>>> = LazyLock::new(|| {
    (0..=SCALE_MAX).map(|scale| (0..64_i16 << scale).map(|bucket| middle_of(bucket, scale)).collect()).collect()
});

fn middle_of(bucket: i16, scale: u32) -> u64 {
    let middle = (bound_of(bucket, scale) * bound_of(bucket.saturating_add(1), scale)).sqrt();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below 2^64")]
    let whole = middle.round() as u64;
    whole
}

/// Lower bound of a bucket.
fn bound_of(bucket: i16, scale: u32) -> f64 {
    (f64::from(bucket) / f64::from(1_u32 << scale)).exp2()
}

/// Bucket of a positive value at scale 7: at most 64 * 128.
fn bucket_of(value: u64) -> i16 {
    let zeros = value.leading_zeros();
    let normalised = value << zeros;
    let [slice, ..] = (normalised << 1).to_be_bytes();
    let first = FIRST_STEPS.get(usize::from(slice)).copied().unwrap_or(0);
    let next = BOUNDS.get(usize::from(first).saturating_add(1)).is_some_and(|bound| *bound <= normalised);
    let octave = i16::try_from(63_u32.saturating_sub(zeros)).unwrap_or(63);
    octave * 128 + i16::from(first) + i16::from(next)
}

/// What a bucket counts with. Four bytes hold the spans of a bucket; weights are sums of fixed-point numbers and need eight.
pub trait Count: Copy + Ord + std::fmt::Debug + Default {
    /// The number; as much of it as there is room for.
    fn of(number: u64) -> Self;
    /// As a number.
    fn get(self) -> u64;
}

impl Count for u32 {
    fn of(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }

    fn get(self) -> u64 {
        u64::from(self)
    }
}

impl Count for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn get(self) -> u64 {
        self
    }
}

fn sum<C: Count>(one: C, other: u64) -> C {
    C::of(one.get().saturating_add(other))
}

/// Counts of non-negative integers (nanoseconds) on a logarithmic grid; zeros apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHistogram<C: Count = u32> {
    /// Bucket and count, ascending, counts above zero.
    buckets: Vec<(i16, C)>,
    zeros: u64,
    count: u64,
    /// How many bits of scale 7 were cut.
    cut: u8,
}

impl<C: Count> LogHistogram<C> {
    /// Adds one value; negative ones count as zero.
    pub fn record(&mut self, value: i64) {
        self.record_many(value, 1);
    }

    /// Adds a value so many times.
    pub fn record_many(&mut self, value: i64, times: u64) {
        if times == 0 {
            return;
        }
        self.count = self.count.saturating_add(times);
        match self.position(value) {
            None => self.zeros = self.zeros.saturating_add(times),
            Some((bucket, Ok(at))) => {
                if let Some(slot) = self.buckets.get_mut(at) {
                    *slot = (bucket, sum(slot.1, times));
                }
            }
            Some((bucket, Err(at))) => self.buckets.insert(at, (bucket, C::of(times))),
        }
    }

    /// Takes out one value that was added before.
    pub fn unrecord(&mut self, value: i64) {
        self.unrecord_many(value, 1);
    }

    /// Takes out a value that was added at least so many times.
    pub fn unrecord_many(&mut self, value: i64, times: u64) {
        match self.position(value) {
            None => self.zeros = self.zeros.saturating_sub(times),
            Some((bucket, Ok(at))) => match self.buckets.get_mut(at) {
                Some(slot) if slot.1.get() > times => *slot = (bucket, C::of(slot.1.get().saturating_sub(times))),
                _ => {
                    self.buckets.remove(at);
                }
            },
            Some((_, Err(_))) => return,
        }
        self.count = self.count.saturating_sub(times);
    }

    /// Whether there is a value in the bucket of this one.
    pub(crate) fn has(&self, value: i64) -> bool {
        self.position(value).map_or(self.zeros > 0, |(_, at)| at.is_ok())
    }

    /// Every value so many times.
    pub fn times(&self, times: u64) -> LogHistogram<u64> {
        LogHistogram {
            buckets: self.buckets.iter().map(|(bucket, count)| (*bucket, count.get().saturating_mul(times))).collect(),
            zeros: self.zeros.saturating_mul(times),
            count: self.count.saturating_mul(times),
            cut: self.cut,
        }
    }

    fn position(&self, value: i64) -> Option<(i16, Result<usize, usize>)> {
        let value = u64::try_from(value).ok().filter(|value| *value > 0)?;
        let bucket = bucket_of(value) >> self.cut;
        Some((bucket, self.buckets.binary_search_by_key(&bucket, |slot| slot.0)))
    }

    /// Adds all values of `other`; the result has the coarser of the two scales.
    pub fn merge(&mut self, other: &Self) {
        if other.cut > self.cut {
            self.downscale(SCALE_MAX - u32::from(other.cut));
        }
        let shift = self.cut - other.cut.min(self.cut);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.count = self.count.saturating_add(other.count);
        let mut merged = Vec::with_capacity(self.buckets.len().max(other.buckets.len()));
        let mut mine = self.buckets.iter().copied().peekable();
        for (bucket, count) in other.buckets.iter().map(|(bucket, count)| (bucket >> shift, *count)) {
            while let Some(slot) = mine.next_if(|slot| slot.0 <= bucket) {
                push(&mut merged, slot);
            }
            push(&mut merged, (bucket, count));
        }
        mine.for_each(|slot| push(&mut merged, slot));
        self.buckets = merged;
    }

    /// Makes the grid coarser; does nothing when it already is as coarse as `scale`.
    pub fn downscale(&mut self, scale: u32) {
        let cut = u8::try_from(SCALE_MAX.saturating_sub(scale)).unwrap_or(0);
        if cut <= self.cut {
            return;
        }
        let shift = cut - self.cut;
        let old = std::mem::take(&mut self.buckets);
        old.into_iter().for_each(|(bucket, count)| push(&mut self.buckets, (bucket >> shift, count)));
        self.cut = cut;
    }

    /// Gives back the room that it would grow into.
    pub(super) fn shrink(&mut self) {
        self.buckets.shrink_to_fit();
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them are zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Buckets above zero, ascending, with their counts; indices are of [`LogHistogram::scale`].
    pub fn buckets(&self) -> &[(i16, C)] {
        &self.buckets
    }

    /// The scale of the grid.
    pub fn scale(&self) -> u32 {
        SCALE_MAX - u32::from(self.cut)
    }

    /// Lower bound of a bucket, in the unit of the values.
    pub fn lower_bound(&self, bucket: i16) -> f64 {
        bound_of(bucket, self.scale())
    }

    /// Geometric middles of the buckets of this scale, in whole units of the values: that of bucket `k` is the `k`-th.
    pub(crate) fn middles(&self) -> &'static [u64] {
        let scale = SCALE_MAX.saturating_sub(u32::from(self.cut));
        usize::try_from(scale).ok().and_then(|scale| MIDDLES.get(scale)).map_or(&[], Vec::as_slice)
    }

    /// The value at rank `ceil(q n)`, to within half a bucket; `None` when empty.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank within the count, clamped"
        )]
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = self.zeros;
        if rank <= seen {
            return Some(0.0);
        }
        let middle = 0.5 / f64::from(1_u32 << self.scale());
        for (bucket, count) in &self.buckets {
            seen = seen.saturating_add(count.get());
            if rank <= seen {
                return Some((f64::from(*bucket) / f64::from(1_u32 << self.scale()) + middle).exp2());
            }
        }
        None
    }

    /// [`LogHistogram::quantile`] of nanoseconds, in milliseconds.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.quantile(q).map(|ns| ns / 1e6)
    }

    /// The bucket at rank `ceil(q n)`; `None` when that is a zero or there are no values.
    pub(crate) fn bucket_at(&self, q: f64) -> Option<i16> {
        let value = self.quantile(q).filter(|value| *value > 0.0)?;
        #[expect(clippy::cast_possible_truncation, reason = "a bucket's index is at most 64 * 128")]
        let bucket = (value.log2() * f64::from(1_u32 << self.scale())).floor() as i16;
        Some(bucket)
    }

    /// How many values lie in buckets beyond this one.
    pub(crate) fn count_beyond(&self, bucket: i16) -> u64 {
        let from = self.buckets.partition_point(|slot| slot.0 <= bucket);
        self.buckets.get(from..).unwrap_or_default().iter().map(|slot| slot.1.get()).sum()
    }

    /// Bytes held, roughly.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.capacity() * size_of::<(i16, C)>()
    }
}

/// Appends to an ascending list, adding to the last slot when it is the same bucket.
fn push<C: Count>(slots: &mut Vec<(i16, C)>, slot: (i16, C)) {
    match slots.last_mut() {
        Some(last) if last.0 == slot.0 => last.1 = sum(last.1, slot.1.get()),
        _ => slots.push(slot),
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "test values are small")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(values: &[i64]) -> LogHistogram {
        let mut histogram = LogHistogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    proptest! {
        /// Scenario: any values, any quantile, at the scales that are kept.
        /// Guarantees: within 1 % of the sorted list's value at the same rank.
        #[test]
        fn quantiles_keep_their_bound(mut values in prop::collection::vec(0_i64..i64::MAX, 1..200), q in 0.0_f64..=1.0, coarse: bool) {
            let mut histogram = filled(&values);
            if coarse { histogram.downscale(6); }
            values.sort_unstable();
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            let got = histogram.quantile(q).unwrap();
            prop_assert!((got - exact).abs() <= exact * 0.01, "{got} for {exact}");
        }

        /// Scenario: values split in any way over two histograms, one of them coarser.
        /// Guarantees: merging equals recording everything into one; taking out restores.
        #[test]
        fn merge_is_concatenation(left in prop::collection::vec(0_i64..1 << 40, 0..80), right in prop::collection::vec(0_i64..1 << 40, 0..80), cut in 3_u32..=7) {
            let mut all = filled(&[left.clone(), right.clone()].concat());
            let mut merged = filled(&left);
            let mut other = filled(&right);
            other.downscale(cut);
            merged.merge(&other);
            let mut taken = all.clone();
            all.downscale(cut);
            prop_assert_eq!(&merged, &all);
            right.iter().for_each(|value| taken.unrecord(*value));
            prop_assert_eq!(taken, filled(&left));
        }
    }

    /// Scenario: every bound of a step in every octave, the value before it, and values in between.
    /// Guarantees: the bucket is the one that a search through all bounds finds.
    #[test]
    fn buckets_are_those_of_a_search() {
        let searched = |value: u64| {
            let zeros = value.leading_zeros();
            let step = BOUNDS.iter().filter(|bound| **bound <= value << zeros).count() - 1;
            (63 - zeros) as i16 * 128 + step as i16
        };
        for octave in 0..64 {
            for bound in BOUNDS.iter().map(|bound| (bound >> (63 - octave)).max(1)) {
                for value in [(bound - 1).max(1), bound, bound.saturating_add(1), bound.saturating_add(bound / 400)] {
                    assert_eq!(bucket_of(value), searched(value), "{value}");
                }
            }
        }
    }

    /// Scenario: every bucket of the finest scale and of coarser ones.
    /// Guarantees: its middle is the geometric one, to a nanosecond; the last middles fit into 64 bits.
    #[test]
    fn middles_lie_in_the_middle() {
        for scale in 3..=SCALE_MAX {
            let mut histogram = LogHistogram::<u32>::default();
            histogram.downscale(scale);
            let middles = histogram.middles();
            assert_eq!(middles.len(), 64 << scale);
            for (bucket, middle) in middles.iter().enumerate() {
                let expected = 2_f64.powf((bucket as f64 + 0.5) / f64::from(1 << scale));
                let error = (*middle as f64 - expected).abs();
                assert!(error <= 0.5 + expected * 1e-12, "{scale} {bucket}: {middle} for {expected}");
            }
        }
    }

    /// Scenario: values at, just under and just over powers of two.
    /// Guarantees: the bucket is the one whose bounds hold the value.
    #[test]
    fn buckets_hold_their_values() {
        for value in (0..62).flat_map(|bit| [(1_u64 << bit), (1_u64 << bit) + 1, (1_u64 << bit) * 2 - 1]) {
            let bucket = f64::from(bucket_of(value));
            let log = (value as f64).log2() * 128.0;
            assert!(bucket <= log + 1e-6 && log <= bucket + 1.0 + 1e-6, "{value}: {bucket} {log}");
        }
    }
}
