//! Whether the store's buffer has room: shut at a high mark, open again at a low one, since a flush gives much back at once and
//! requests that come in at the brim would be refused after they were read and decoded.

use super::Buffered;

/// From here on the store has much to write, in percent of the buffer.
const MUCH: u64 = 40;
/// From here on only addresses that sent less than their part come in.
const SHUT_FOR_MANY: u64 = 80;
/// From here on nobody does. The store itself refuses at nine tenths.
const SHUT_FOR_ALL: u64 = 88;
/// By how much it has to fall below either before that opens again.
const OPENS_BELOW: u64 = 10;

/// What may come in, as far as the store is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Nothing.
    Nobody,
    /// Requests of addresses that sent less than their part.
    Few,
    /// Everything.
    All,
}

/// The marks, and on which side of them the buffer is.
#[derive(Debug, Default)]
pub(super) struct Fullness {
    shut_for_many: bool,
    shut_for_all: bool,
}

impl Fullness {
    /// Whether so much waits that requests in work should be few.
    pub(super) fn has_much(buffered: Buffered) -> bool {
        buffered.bytes.saturating_mul(100) >= buffered.bytes_max.saturating_mul(MUCH)
    }

    /// Looks at the buffer, with `coming` bytes on their way to it.
    pub(super) fn look(&mut self, buffered: Buffered, coming: u64) -> Room {
        let bytes = buffered.bytes.saturating_add(coming);
        let past = |percent: u64| bytes.saturating_mul(100) >= buffered.bytes_max.saturating_mul(percent);
        let stays = |shut: bool, mark: u64| past(if shut { mark.saturating_sub(OPENS_BELOW) } else { mark });
        self.shut_for_many = stays(self.shut_for_many, SHUT_FOR_MANY);
        self.shut_for_all = stays(self.shut_for_all, SHUT_FOR_ALL);
        match (self.shut_for_all, self.shut_for_many) {
            (true, _) => Room::Nobody,
            (false, true) => Room::Few,
            (false, false) => Room::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: a buffer that fills, with and without requests on their way, and empties again.
    /// Guarantees: both marks shut on the way up and open only ten percent below.
    #[test]
    fn opens_below_where_it_shut() {
        let mut fullness = Fullness::default();
        let mut at = |bytes, coming| fullness.look(Buffered { bytes, bytes_max: 1000 }, coming);
        let way = [(0, 0), (790, 0), (800, 0), (870, 0), (700, 180), (780, 0), (779, 0), (700, 0), (699, 0), (790, 9)];
        let seen: Vec<Room> = way.into_iter().map(|(bytes, coming)| at(bytes, coming)).collect();
        use Room::{All, Few, Nobody};
        assert_eq!(seen, [All, All, Few, Few, Nobody, Nobody, Few, Few, All, All]);
    }
}
