//! Named points at which a debug build can be told to die or to fail, so that tests can do so to the real process.
//!
//! Nothing of it is in a release build: `hit` is an empty function there, and there is nothing to arm. An order names a point, the
//! hit at which it counts (the first unless said), and what happens there:
//!
//! | order | at the point |
//! |---|---|
//! | `wal-written=abort` | the process ends at once, as by a signal: no destructor, no flush, no answer |
//! | `wal-written@3=abort` | the same, at the third time |
//! | `file-created=error` | an I/O error is returned, once |
//!
//! Several orders are separated by commas.

/// Where a process may be told to die, in the order of a request's way through the store.
#[cfg_attr(not(debug_assertions), expect(dead_code, reason = "armed in debug builds only"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    OpenLocked,
    OpenTableLoaded,
    ReplaySegment,
    ReplayDone,
    QuarantineNoted,
    QuarantineMoved,
    OpenDone,
    SegmentPrepare,
    SegmentFilled,
    SegmentHeaderSynced,
    SegmentRenamed,
    SegmentReady,
    SegmentSeal,
    WalWrite,
    WalHalfWritten,
    WalWritten,
    WalSynced,
    WalVisible,
    WalAnswered,
    FlushBegin,
    FileCreated,
    FileWritten,
    FileSynced,
    FileRenamed,
    FileReady,
    CommitBegin,
    CommitLinked,
    CommitDone,
    CommitVisible,
    CheckpointBegin,
    CheckpointWritten,
    SegmentUnlink,
    SegmentUnlinked,
    MergeBegin,
    MergeWritten,
    VacuumUnlink,
    CloseBegin,
    CloseLogEnded,
    CloseFlushed,
}

/// Passes a point.
///
/// # Errors
/// [`crate::StorageError::Io`] when a test ordered one; never in a release build.
#[cfg(not(debug_assertions))]
#[expect(clippy::unnecessary_wraps, reason = "the debug twin can fail")]
#[inline]
pub(crate) const fn hit(_point: Point) -> crate::Result<()> {
    Ok(())
}

/// Passes a point where nothing can fail any more; an ordered error is as if none were.
pub(crate) fn pass(point: Point) {
    drop(hit(point));
}

#[cfg(debug_assertions)]
pub use armed::{arm, names};
#[cfg(debug_assertions)]
pub(crate) use armed::{hit, is_armed};

#[cfg(debug_assertions)]
mod armed {
    use std::io;
    use std::path::Path;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::Point;
    use crate::Result;
    use crate::fs::io_error;

    const POINTS: [Point; Point::CloseFlushed as usize + 1] = [
        Point::OpenLocked,
        Point::OpenTableLoaded,
        Point::ReplaySegment,
        Point::ReplayDone,
        Point::QuarantineNoted,
        Point::QuarantineMoved,
        Point::OpenDone,
        Point::SegmentPrepare,
        Point::SegmentFilled,
        Point::SegmentHeaderSynced,
        Point::SegmentRenamed,
        Point::SegmentReady,
        Point::SegmentSeal,
        Point::WalWrite,
        Point::WalHalfWritten,
        Point::WalWritten,
        Point::WalSynced,
        Point::WalVisible,
        Point::WalAnswered,
        Point::FlushBegin,
        Point::FileCreated,
        Point::FileWritten,
        Point::FileSynced,
        Point::FileRenamed,
        Point::FileReady,
        Point::CommitBegin,
        Point::CommitLinked,
        Point::CommitDone,
        Point::CommitVisible,
        Point::CheckpointBegin,
        Point::CheckpointWritten,
        Point::SegmentUnlink,
        Point::SegmentUnlinked,
        Point::MergeBegin,
        Point::MergeWritten,
        Point::VacuumUnlink,
        Point::CloseBegin,
        Point::CloseLogEnded,
        Point::CloseFlushed,
    ];

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Deed {
        Abort,
        Error,
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Order {
        point: Point,
        /// Hits that still pass before the one that counts.
        passes: u64,
        deed: Deed,
    }

    /// One process has one set of orders, given before it begins.
    static ORDERS: OnceLock<Mutex<Vec<Order>>> = OnceLock::new();

    /// The names of all points.
    pub fn names() -> Vec<String> {
        POINTS.iter().map(|point| name(*point)).collect()
    }

    /// `WalWritten` is called `wal-written`.
    fn name(point: Point) -> String {
        let mut out = String::new();
        for letter in format!("{point:?}").chars() {
            if letter.is_ascii_uppercase() && !out.is_empty() {
                out.push('-');
            }
            out.push(letter.to_ascii_lowercase());
        }
        out
    }

    /// Gives this process its orders; see the module for their form. The first call counts.
    ///
    /// # Errors
    /// What is wrong with the orders, in words.
    pub fn arm(orders: &str) -> Result<(), String> {
        let orders = orders.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
        ORDERS.set(Mutex::new(orders)).map_err(|_| "failpoints are armed already".to_owned())
    }

    fn parse(order: &str) -> Result<Order, String> {
        let (place, deed) = order.split_once('=').ok_or_else(|| format!("{order}: what shall happen there?"))?;
        let (named, hit) = place.split_once('@').unwrap_or((place, "1"));
        let point = POINTS.into_iter().find(|point| name(*point) == named);
        let point = point.ok_or_else(|| format!("{named} is no failpoint; there are {}", names().join(", ")))?;
        let hit: u64 = hit.parse().map_err(|error| format!("{order}: {error}"))?;
        let deed = match deed {
            "abort" => Deed::Abort,
            "error" => Deed::Error,
            other => return Err(format!("{order}: {other} is neither abort nor error")),
        };
        Ok(Order { point, passes: hit.saturating_sub(1), deed })
    }

    /// Whether an order waits for this point.
    pub(crate) fn is_armed(point: Point) -> bool {
        let orders = ORDERS.get().map(|orders| orders.lock().unwrap_or_else(PoisonError::into_inner));
        orders.is_some_and(|orders| orders.iter().any(|order| order.point == point))
    }

    /// Passes a point.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`] when that was ordered.
    pub(crate) fn hit(point: Point) -> Result<()> {
        let Some(orders) = ORDERS.get() else {
            return Ok(());
        };
        match due(&mut orders.lock().unwrap_or_else(PoisonError::into_inner), point) {
            None => Ok(()),
            Some(Deed::Abort) => {
                tracing::error!(point = name(point), "failpoint: the process ends here");
                std::process::abort();
            }
            Some(Deed::Error) => {
                tracing::warn!(point = name(point), "failpoint: an error is returned");
                Err(io_error("pass the failpoint", Path::new(&name(point)), io::Error::other("ordered by a test")))
            }
        }
    }

    /// What is due at this hit of the point.
    fn due(orders: &mut Vec<Order>, point: Point) -> Option<Deed> {
        let index = orders.iter().position(|order| order.point == point)?;
        let order = orders.get_mut(index)?;
        if order.passes > 0 {
            order.passes -= 1;
            return None;
        }
        Some(orders.remove(index).deed)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// Scenario: the list of points, read from front to back.
        /// Guarantees: each point of the enum stands in it once, at its place, under a name that an order finds.
        #[test]
        fn every_point_has_a_name() {
            for (index, point) in POINTS.into_iter().enumerate() {
                assert_eq!(point as usize, index, "{point:?}");
                assert_eq!(parse(&format!("{}=abort", name(point))).unwrap().point, point);
            }
            assert_eq!(name(Point::WalHalfWritten), "wal-half-written");
        }

        /// Scenario: an order for the third hit of one point among hits of others; orders that make no sense.
        /// Guarantees: it is due at that hit, once; the others are refused in words.
        #[test]
        fn an_order_is_due_once() {
            let mut orders = vec![parse("wal-written@3=error").unwrap(), parse("wal-write=abort").unwrap()];
            let mut hit = |point| due(&mut orders, point);
            assert_eq!((hit(Point::WalWritten), hit(Point::WalWritten)), (None, None));
            assert_eq!((hit(Point::WalWrite), hit(Point::WalSynced)), (Some(Deed::Abort), None));
            assert_eq!((hit(Point::WalWritten), hit(Point::WalWritten)), (Some(Deed::Error), None));
            for order in ["wal-written", "nowhere=abort", "wal-written@x=abort", "wal-written=sleep"] {
                assert!(parse(order).is_err(), "{order}");
            }
        }
    }
}
