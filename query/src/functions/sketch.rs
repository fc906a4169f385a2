//! [`Sketch`]: a latency histogram that starts as a short list and turns into HDR counters when that is smaller.
//!
//! Two significant digits: a bucket is at most 1/128 of its value wide, so a quantile given as the middle of its
//! bucket is off by at most 0.4 %. ADR-0006 has the arithmetic.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use crate::hdr_v2::Counts;

/// Significant decimal digits of every histogram in SQL.
const DIGITS: u8 = 2;

/// Most digits accepted of a histogram made elsewhere: 3 need up to 0.5 MB, 5 would need 50.
const DIGITS_MAX: u32 = 3;

/// Values kept one by one before counters are made: 32 take 256 bytes, counters up to 58 KB.
const FEW_MAX: usize = 32;

/// Past this many bytes a serialised histogram cannot be one of at most [`DIGITS_MAX`] digits.
const SERIALISED_BYTES_MAX: usize = 1 << 20;

/// Why a histogram could not be made, read or merged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SketchError(String);

impl SketchError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A histogram of whole nanoseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sketch {
    few: Vec<u64>,
    many: Option<Box<Histogram<u64>>>,
}

impl Sketch {
    /// Counts one value; a negative one counts as 0.
    pub(crate) fn record(&mut self, value: i64) -> Result<(), SketchError> {
        let value = u64::try_from(value).unwrap_or(0);
        if let Some(histogram) = &mut self.many {
            return histogram.record(value).map_err(SketchError::new);
        }
        if self.few.len() < FEW_MAX {
            self.few.push(value);
            return Ok(());
        }
        self.counters()?.record(value).map_err(SketchError::new)
    }

    /// Counts everything that a histogram in HDR V2 form counted.
    pub(crate) fn merge(&mut self, bytes: &[u8]) -> Result<(), SketchError> {
        let counters = self.counters()?;
        let Some(other) = counts(bytes) else { return counters.add(read(bytes)?).map_err(SketchError::new) };
        // The largest value first: there is room for the others then.
        for (value, count) in other.descending() {
            counters.record_n(value, count).map_err(SketchError::new)?;
        }
        Ok(())
    }

    /// Whether nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.few.is_empty() && self.many.as_ref().is_none_or(|histogram| histogram.is_empty())
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let counters = self.many.as_ref().map_or(0, |histogram| counter_bytes(histogram));
        self.few.capacity().saturating_mul(size_of::<u64>()).saturating_add(counters)
    }

    /// The counters, made of the short list if there are none yet.
    fn counters(&mut self) -> Result<&mut Histogram<u64>, SketchError> {
        if self.many.is_none() {
            let mut histogram = empty()?;
            for value in std::mem::take(&mut self.few) {
                histogram.record(value).map_err(SketchError::new)?;
            }
            self.many = Some(Box::new(histogram));
        }
        self.many.as_deref_mut().ok_or_else(|| SketchError::new("no counters"))
    }

    /// Appends the histogram in HDR V2 form to `out`.
    pub(crate) fn write(&mut self, serializer: &mut V2Serializer, out: &mut Vec<u8>) -> Result<(), SketchError> {
        serializer.serialize(self.counters()?, out).map_err(SketchError::new)?;
        Ok(())
    }
}

fn empty() -> Result<Histogram<u64>, SketchError> {
    let mut histogram = Histogram::new_with_bounds(1, 2, DIGITS).map_err(SketchError::new)?;
    histogram.auto(true);
    Ok(histogram)
}

fn counter_bytes(histogram: &Histogram<u64>) -> usize {
    histogram.distinct_values().saturating_mul(size_of::<u64>()).saturating_add(size_of::<Histogram<u64>>())
}

/// Reads a histogram in HDR V2 form. The bytes may come from the statement: what their header asks for is checked
/// before anything is allocated.
fn read(bytes: &[u8]) -> Result<Histogram<u64>, SketchError> {
    // V2 header: cookie, payload length, normalizing offset, digits (u32 each), lowest, highest (u64), ratio (f64).
    let digits = bytes.get(12..16).and_then(|digits| digits.try_into().ok()).map(u32::from_be_bytes);
    match digits {
        Some(1..=DIGITS_MAX) if bytes.len() <= SERIALISED_BYTES_MAX => {}
        _ => return Err(SketchError::new("not a histogram in HDR V2 form with 1 to 3 digits")),
    }
    let mut reader = bytes;
    let histogram = Deserializer::new().deserialize(&mut reader);
    let mut histogram: Histogram<u64> =
        histogram.map_err(|error| SketchError::new(format_args!("not a histogram in HDR V2 form: {error}")))?;
    histogram.auto(true);
    Ok(histogram)
}

/// The same of the usual form, without counters.
fn counts(bytes: &[u8]) -> Option<Counts> {
    if bytes.len() > SERIALISED_BYTES_MAX { None } else { Counts::read(bytes) }
}

/// How many values a histogram in HDR V2 form counted.
pub(crate) fn count_of(bytes: &[u8]) -> Result<u64, SketchError> {
    match counts(bytes) {
        Some(counts) => Ok(counts.total()),
        None => Ok(read(bytes)?.len()),
    }
}

/// The value below which the fraction `q` of the values counted lies, the middle of its bucket; `None` without values.
pub(crate) fn quantile_of(bytes: &[u8], q: f64) -> Result<Option<i64>, SketchError> {
    match counts(bytes) {
        Some(counts) => {
            let value = counts.quantile(q).filter(|_| (0.0..=1.0).contains(&q));
            Ok(value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)))
        }
        None => Ok(quantile(&read(bytes)?, q)),
    }
}

fn quantile(histogram: &Histogram<u64>, q: f64) -> Option<i64> {
    if histogram.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let value = histogram.median_equivalent(histogram.value_at_quantile(q));
    let value = value.clamp(histogram.lowest_equivalent(histogram.min()), histogram.max());
    Some(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use daytwo_storage::testing::Seeded;

    fn sketch(values: &[i64]) -> Sketch {
        let mut sketch = Sketch::default();
        for &value in values {
            sketch.record(value).unwrap();
        }
        sketch
    }

    fn bytes(mut sketch: Sketch) -> Vec<u8> {
        let mut out = Vec::new();
        sketch.write(&mut V2Serializer::new(), &mut out).unwrap();
        out
    }

    fn values(seed: u64, count: usize) -> Vec<i64> {
        let mut random = Seeded::new(seed);
        let mut value = || {
            let scale = 1_u64 << random.below(40);
            i64::try_from(scale + random.below(scale)).unwrap()
        };
        (0..count).map(|_| value()).collect()
    }

    /// The value of rank ceil(q n) among the sorted values, q in thousandths: what a quantile means.
    fn exact(values: &[i64], thousandths: usize) -> i64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let rank = (thousandths * sorted.len()).div_ceil(1_000);
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    /// Scenario: lists of every size, from one value to thousands over twelve orders of magnitude.
    /// Guarantees: quantiles are within 1 % of the exact rank, on both sides of the switch to counters.
    #[test]
    fn quantiles_are_within_one_percent() {
        for (seed, count) in [(1, 1), (2, 31), (3, 32), (4, 33), (5, 5_000)] {
            let values = values(seed, count);
            let histogram = bytes(sketch(&values));
            for thousandths in [0, 10, 500, 900, 950, 990, 999, 1_000] {
                let exact = exact(&values, thousandths);
                let q = f64::from(u32::try_from(thousandths).unwrap()) / 1_000.0;
                let got = quantile_of(&histogram, q).unwrap().unwrap();
                assert_eq!(Some(got), quantile(&read(&histogram).unwrap(), q), "with and without counters");
                assert!((got - exact).abs() * 100 <= exact, "seed {seed} at {thousandths}: {got} for {exact}");
            }
        }
    }

    /// Scenario: the whole population moves from 1.09 s to 1.90 s, which power-of-two buckets show as no change.
    /// Guarantees: each p99 is right within 1 %, so the change is seen in full.
    #[test]
    fn a_shift_within_one_octave_is_seen() {
        for exact in [1_090_000_000_i64, 1_900_000_000] {
            let got = quantile_of(&bytes(sketch(&vec![exact; 1_000])), 0.99).unwrap().unwrap();
            assert!((got - exact).abs() * 100 <= exact, "{got} for {exact}");
        }
    }

    /// Scenario: two halves merged through their serialised forms, and everything recorded at once.
    /// Guarantees: the same bytes, whatever the split.
    #[test]
    fn merging_equals_recording_together() {
        let all = values(9, 3_000);
        for split in [0, 1, 40, 1_500, 2_999] {
            let mut merged = sketch(&[]);
            for half in [&all[..split], &all[split..]] {
                merged.merge(&bytes(sketch(half))).unwrap();
            }
            let together = read(&bytes(sketch(&all))).unwrap();
            assert_eq!(read(&bytes(merged)).unwrap(), together);
        }
    }

    /// Scenario: bytes that are no histogram, among them a header that asks for five digits over the whole range.
    /// Guarantees: an error, and no large allocation.
    #[test]
    fn hostile_bytes_are_refused() {
        let mut five_digits = bytes(sketch(&[1, 2, 3]));
        five_digits[15] = 5;
        for bytes in [&[][..], &[0xDE, 0xAD], &[0; 40], &five_digits] {
            assert!(count_of(bytes).is_err() && quantile_of(bytes, 0.5).is_err());
            assert!(Sketch::default().merge(bytes).is_err());
        }
    }
}
