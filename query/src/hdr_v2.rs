//! Histograms in HDR V2 form, read and written without an array of counters.
//!
//! A histogram of one cell has some dozens of values; its counters would be ten thousand and more, nearly all zero. What is written here is
//! byte for byte what the `hdrhistogram` crate writes for the same values recorded one by one.

/// First four bytes of the form.
const COOKIE: u32 = 0x1c84_9303 | 0x10;
/// Bytes before the counts.
const HEADER: usize = 40;

/// Where values lie among the counters of a histogram whose lowest value is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Grid {
    /// Binary logarithm of the counters of one octave.
    magnitude: u32,
}

impl Grid {
    /// That of so many significant decimal digits: counters are at most 1/10, 1/100, 1/1000 of a value wide.
    fn of_digits(digits: u32) -> Option<Self> {
        let magnitude = match digits {
            1 => 4,
            2 => 7,
            3 => 10,
            _ => return None,
        };
        Some(Self { magnitude })
    }

    fn mask(self) -> u64 {
        (2 << self.magnitude) - 1
    }

    fn index_of(self, value: u64) -> u64 {
        let octave = (63 - self.magnitude).saturating_sub((value | self.mask()).leading_zeros());
        (u64::from(octave) << self.magnitude).saturating_add(value >> octave)
    }

    /// The lowest value of a counter, and the binary logarithm of its width.
    fn counter(self, index: u64) -> (u64, u32) {
        let octave = u32::try_from(index >> self.magnitude).unwrap_or(u32::MAX).saturating_sub(1).min(63);
        let within = index.saturating_sub(u64::from(octave) << self.magnitude);
        (within.checked_shl(octave).unwrap_or(u64::MAX), octave)
    }

    /// Counters that a histogram of values up to `high` has.
    fn counters(self, high: u64) -> u64 {
        let octaves = 64_u32.saturating_sub((high | self.mask()).leading_zeros()).saturating_sub(self.magnitude);
        u64::from(octaves.saturating_add(1)) << self.magnitude
    }

    /// What the crate notes as the highest value, of a histogram that began with two values and grew.
    fn high(self, max: u64) -> u64 {
        if max <= self.mask() {
            2
        } else {
            max.checked_add(1).and_then(u64::checked_next_power_of_two).map_or(u64::MAX, |next| next - 1)
        }
    }
}

/// Appends a histogram with this many digits (1 to 3) of values, ascending, each with its count.
pub(crate) fn write(digits: u32, values: impl Iterator<Item = (u64, u64)>, out: &mut Vec<u8>) {
    let Some(grid) = Grid::of_digits(digits) else { return };
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let (mut next, mut held, mut max) = (0_u64, (0_u64, 0_u64), 0_u64);
    for (value, count) in values.filter(|(_, count)| *count > 0) {
        let index = grid.index_of(value);
        if held.1 > 0 && index != held.0 {
            next = put_count(held, next, out);
            held = (index, 0);
        }
        held = (index, held.1.saturating_add(count));
        max = max.max(value);
    }
    put_count(held, next, out);
    let payload = u32::try_from(out.len().saturating_sub(start).saturating_sub(HEADER)).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(HEADER);
    [COOKIE, payload, 0, digits].iter().for_each(|number| header.extend_from_slice(&number.to_be_bytes()));
    [1, grid.high(max)].iter().for_each(|number| header.extend_from_slice(&number.to_be_bytes()));
    header.extend_from_slice(&1.0_f64.to_be_bytes());
    if let Some(place) = out.get_mut(start..start.saturating_add(HEADER)) {
        place.copy_from_slice(&header);
    }
}

/// Writes a counter and the zeros before it, and gives the index after it.
fn put_count((index, count): (u64, u64), next: u64, out: &mut Vec<u8>) -> u64 {
    match i64::try_from(index.saturating_sub(next)).unwrap_or(i64::MAX) {
        0 => {}
        1 => put_varint(0, out),
        zeros => put_varint(-zeros, out),
    }
    put_varint(i64::try_from(count).unwrap_or(i64::MAX), out);
    index.saturating_add(1)
}

/// Zigzag, then seven bits a byte; a ninth byte has eight.
fn put_varint(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    for _ in 0..8 {
        let [low, ..] = (rest & 0x7f).to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
    let [last, ..] = rest.to_le_bytes();
    out.push(last);
}

fn take_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for place in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let has_more = place < 8 && byte & 0x80 != 0;
        let part = if place < 8 { byte & 0x7f } else { *byte };
        number |= u64::from(part) << (7 * place);
        if !has_more {
            break;
        }
    }
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

/// What a histogram counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    grid: Grid,
    /// Index and count of each counter that is not zero, ascending.
    counters: Vec<(u64, u64)>,
}

impl Counts {
    /// Reads a histogram; `None` when the bytes are of a rarer form or damaged, which the crate's reader tells apart.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let four = |at: usize| header.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes);
        let eight = |at: usize| header.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_be_bytes);
        let grid = Grid::of_digits(four(12)?)?;
        let plain = four(0)? == COOKIE && four(8)? == 0 && eight(16)? == 1 && eight(32)? == 1.0_f64.to_bits();
        let high = eight(24).filter(|high| plain && *high >= 2)?;
        let mut payload = rest.get(..usize::try_from(four(4)?).ok()?)?;
        let (end, mut index, mut counters) = (grid.counters(high), 0_u64, Vec::new());
        while !payload.is_empty() {
            let number = take_varint(&mut payload)?;
            let count = u64::try_from(number).unwrap_or(0);
            if count > 0 {
                counters.push((index, count));
            }
            index = index.saturating_add(if number < 0 { number.unsigned_abs() } else { 1 });
        }
        let fits = counters.last().is_none_or(|(index, _)| *index < end);
        fits.then_some(Self { grid, counters })
    }

    /// How many values there are.
    pub(crate) fn total(&self) -> u64 {
        self.counters.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// The lowest value of each counter with its count, descending.
    pub(crate) fn descending(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counters.iter().rev().map(|(index, count)| (self.grid.counter(*index).0, *count))
    }

    /// The value at rank `ceil(q n)`: the middle of its counter. `None` without values.
    pub(crate) fn quantile(&self, q: f64) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank within the count, clamped"
        )]
        let rank = ((q * self.total() as f64).ceil() as u64).clamp(1, self.total().max(1));
        let mut seen = 0_u64;
        let at_rank = |(_, count): &&(u64, u64)| {
            seen = seen.saturating_add(*count);
            rank <= seen
        };
        let (index, _) = self.counters.iter().find(at_rank).or(self.counters.last())?;
        let (low, width) = self.grid.counter(*index);
        Some(low.saturating_add((1_u64 << width) >> 1))
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
    use proptest::prelude::*;

    use super::*;

    fn by_crate(digits: u8, values: &[(u64, u64)]) -> (Histogram<u64>, Vec<u8>) {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 2, digits).unwrap();
        histogram.auto(true);
        values.iter().for_each(|(value, count)| histogram.record_n(*value, *count).unwrap());
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
        (histogram, bytes)
    }

    fn values() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let value = (0_u32..62, any::<u64>()).prop_map(|(octave, random)| random % (1 << octave));
        prop::collection::btree_map(value, 1_u64..1 << 40, 0..60).prop_map(|values| values.into_iter().collect())
    }

    proptest! {
        /// Scenario: values of any size, each any number of times, with one, two and three digits.
        /// Guarantees: the bytes are the crate's; read back they give its count, its values and, at any rank, its value.
        #[test]
        fn bytes_are_those_of_the_crate(values in values(), digits in 1_u8..=3, q in 0.0_f64..=1.0) {
            let (histogram, expected) = by_crate(digits, &values);
            let mut written = vec![7];
            write(u32::from(digits), values.iter().copied(), &mut written);
            prop_assert_eq!(&written[1..], &expected[..]);
            let read = Counts::read(&expected).unwrap();
            prop_assert_eq!(read.total(), histogram.len());
            let mut again = Histogram::<u64>::new_with_bounds(1, 2, digits).unwrap();
            again.auto(true);
            read.descending().for_each(|(value, count)| again.record_n(value, count).unwrap());
            prop_assert_eq!(&again, &histogram);
            let at_rank = (!values.is_empty()).then(|| histogram.median_equivalent(histogram.value_at_quantile(q)));
            prop_assert_eq!(read.quantile(q), at_rank);
        }

        /// Scenario: bytes of a histogram with one byte changed, or cut off.
        /// Guarantees: what is read at all is what the crate reads.
        #[test]
        fn damaged_bytes_are_read_as_the_crate_does(values in values(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
            let (_, mut bytes) = by_crate(2, &values);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if cut { bytes.truncate(at); }
            // What asks for much memory is refused before the crate sees it.
            let small = bytes.get(12..16).is_some_and(|digits| digits == [0, 0, 0, 1] || digits == [0, 0, 0, 2]);
            if let Some(read) = Counts::read(&bytes).filter(|_| small) {
                let crates: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                let counted: Vec<(u64, u64)> = crates.iter_recorded().map(|value| (crates.lowest_equivalent(value.value_iterated_to()), value.count_at_value())).collect();
                let mut own: Vec<_> = read.descending().collect();
                own.reverse();
                prop_assert_eq!(own, counted);
            }
        }
    }
}
