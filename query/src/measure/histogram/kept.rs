//! A histogram as bytes: how much of the grid is cut, zeros, and bucket by bucket the step from the one before and the count.

use super::{Count, LogHistogram, SCALE_MAX};
use crate::measure::bytes::{number, put_number};

/// Buckets that a histogram can have: 64 octaves of 128.
const BUCKETS_MAX: u64 = 64 * 128;

impl<C: Count> LogHistogram<C> {
    /// Appends it to `out`.
    pub(in crate::measure) fn put(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(self.cut));
        put_number(out, self.zeros);
        put_number(out, self.buckets.len() as u64);
        let mut before = -1_i16;
        for (bucket, count) in &self.buckets {
            put_number(out, u64::try_from(bucket.saturating_sub(before)).unwrap_or(0));
            put_number(out, count.get());
            before = *bucket;
        }
    }

    /// Reads one back; `None` when the bytes hold none.
    pub(in crate::measure) fn take(bytes: &mut &[u8]) -> Option<Self> {
        let cut = u8::try_from(number(bytes)?).ok().filter(|cut| u32::from(*cut) <= SCALE_MAX)?;
        let zeros = number(bytes)?;
        let length = number(bytes).filter(|length| *length <= BUCKETS_MAX)?;
        let mut buckets = Vec::new();
        let (mut bucket, mut all) = (-1_i16, zeros);
        for _ in 0..length {
            let step = i16::try_from(number(bytes)?).ok().filter(|step| *step > 0)?;
            bucket = bucket.checked_add(step)?;
            let count = number(bytes)?;
            all = all.checked_add(count)?;
            let held = C::of(count);
            if count == 0 || held.get() != count {
                return None;
            }
            buckets.push((bucket, held));
        }
        Some(Self { buckets, zeros, count: all, cut })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: histograms that are empty, full of every magnitude, and downscaled; and every beginning of their bytes.
    /// Guarantees: they are read back bit for bit; a beginning is `None`, never a panic.
    #[test]
    fn histograms_are_read_back() {
        let mut values = LogHistogram::default();
        (0..63).for_each(|shift| (0..=shift).for_each(|_| values.record(1 << shift)));
        (0..5).for_each(|_| values.record(0));
        values.record(i64::MAX);
        let mut coarse = values.clone();
        coarse.downscale(5);
        for histogram in [LogHistogram::<u32>::default(), values, coarse] {
            let mut out = Vec::new();
            histogram.put(&mut out);
            let mut bytes = out.as_slice();
            assert_eq!(LogHistogram::take(&mut bytes), Some(histogram));
            assert!(bytes.is_empty());
            assert!((0..out.len()).all(|length| LogHistogram::<u32>::take(&mut &out[..length]).is_none()));
        }
    }
}
