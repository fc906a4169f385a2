//! [`Weight`]: for how many spans a sampled span stands.
//!
//! A sampler that follows OpenTelemetry's probability sampling writes its rejection threshold into the trace state, `ot=th:…`: up to 14
//! hexadecimal digits of a fraction T of 2^56. The span was kept with a probability of `(2^56 - T) / 2^56` and stands for its inverse.

/// The weight of a span, a fixed-point number of at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u64);

/// Digits of a whole threshold; what is left off at the end is zeros.
const DIGITS: usize = 14;

impl Default for Weight {
    fn default() -> Self {
        Self(Self::ONE)
    }
}

impl Weight {
    /// The unit: a weight of one. Sixteen bits after the point are 0.001 % of a weight, and leave room for 2^28 spans of the largest one.
    pub const ONE: u64 = 1 << 16;
    /// No span stands for more than a million others, whatever it says.
    pub const MAX: u64 = (1 << 20) * Self::ONE;

    /// The weight that a trace state says; one without a threshold that can be read.
    pub fn of(trace_state: &str) -> Self {
        let members = trace_state.split(',').filter_map(|member| member.trim().strip_prefix("ot="));
        let keys = members.take(1).flat_map(|member| member.split(';'));
        let threshold = keys.filter_map(|key| key.strip_prefix("th:")).next().and_then(threshold);
        threshold.map_or_else(Self::default, |rejected| {
            let kept = u128::from((1_u64 << (4 * DIGITS)).saturating_sub(rejected)).max(1);
            let weight = ((u128::from(Self::ONE) << (4 * DIGITS)) + kept / 2) / kept;
            Self(u64::try_from(weight).unwrap_or(u64::MAX).clamp(Self::ONE, Self::MAX))
        })
    }

    /// The weight in units of [`Weight::ONE`].
    pub fn units(self) -> u64 {
        self.0
    }

    /// What it is above one, in units.
    pub fn more(self) -> u64 {
        self.0.saturating_sub(Self::ONE)
    }
}

fn threshold(digits: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.is_empty() || digits.len() > DIGITS || !digits.bytes().all(is_digit) {
        return None;
    }
    let left_off = DIGITS.saturating_sub(digits.len());
    u64::from_str_radix(digits, 16).ok().map(|stated| stated << (4 * left_off))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: thresholds of known probabilities, alone and among other members and keys; then every kind of nonsense.
    /// Guarantees: the weight is one over the probability, to 0.001 %; nonsense weighs one; a threshold next to 2^56 is capped.
    #[test]
    fn weights_are_one_over_the_probability() {
        let sound = [
            ("ot=th:0", 1.0),
            ("ot=th:8", 2.0),
            ("ot=th:4", 4.0 / 3.0),
            ("ot=th:c;rv:d29d6a7215ced0", 4.0),
            ("congo=t61rcWkgMzE,ot=rv:0;th:fd70a4;x:y", 100.0),
            (" ot=th:ffbe76c8b4395 , rojo=1", 1_000.0),
            ("ot=th:ffffffffffffff", 1_048_576.0),
        ];
        for (state, expected) in sound {
            let weight = Weight::of(state).0 as f64 / Weight::ONE as f64;
            assert!((weight - expected).abs() < expected * 1e-4, "{state}: {weight}");
        }
        let nonsense =
            ["", "ot=", "ot=th:", "ot=th:g", "ot=th:C", "ot=th:123456789abcdef", "xot=th:8", "ot=rv:8,ot=th:8"];
        for state in nonsense {
            assert_eq!(Weight::of(state), Weight::default(), "{state}");
        }
    }
}
