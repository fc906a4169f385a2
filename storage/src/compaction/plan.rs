//! Which files to merge next: a pure function of the list.
//!
//! Within an hour, files are ordered by the requests they hold, and only neighbours are merged, so that a file's rows stay
//! in the order of arrival and its name tells which requests it holds.
//!
//! An hour that still fills: files fall into tiers, each eight times as large as the one before. Eight of a tier become
//! one of the next, until a file has half the target size. So a span is written once a tier, and an hour never
//! has more than seven files a tier besides the finished ones. An hour that is over: neighbours are put together as long
//! as they fit in the target.

use std::collections::{BTreeMap, HashSet};

use crate::DataFile;
use crate::partition::FileName;

/// Files of a tier that become one of the next. Fewer: fewer files in an open hour, more rewriting.
const FAN_IN: usize = 8;
/// Inputs of one merge at most: their descriptors are open at once.
const INPUTS_MAX: usize = 128;

/// What the choice goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Size that files are brought to; 0 turns compaction off.
    pub(crate) target_bytes: u64,
    /// Row groups of fewer rows are encoded again, together with their neighbours.
    pub(crate) keep_rows: u64,
}

/// Neighbours that cannot be merged.
#[derive(Debug, Clone, Default)]
pub(super) struct Barriers {
    /// Files with other columns than the one before them.
    pub(super) unlike: HashSet<String>,
    /// Files that are left alone.
    pub(super) alone: HashSet<String>,
}

impl Barriers {
    fn are_between(&self, file: &DataFile, next: &DataFile) -> bool {
        self.unlike.contains(&next.path) || self.alone.contains(&file.path) || self.alone.contains(&next.path)
    }
}

/// The files to be merged next, in order of their requests; `None` when nothing is worth it.
pub(crate) fn choose(
    files: &[DataFile],
    policy: Policy,
    is_over: impl Fn(&str) -> bool,
    barriers: &Barriers,
) -> Option<Vec<DataFile>> {
    let mut hours: BTreeMap<&str, Vec<(FileName, &DataFile)>> = BTreeMap::new();
    // Files of other writers are left alone: nobody vouches for their content.
    let ours = files.iter().filter_map(|file| FileName::parse(&file.path).map(|name| (name, file)));
    for (name, file) in ours.filter(|_| policy.target_bytes > 0) {
        hours.entry(&file.received_hour).or_default().push((name, file));
    }
    // The newest hour first: that is where files are many.
    hours.into_iter().rev().find_map(|(hour, mut files)| {
        files.sort_by_key(|(name, _)| (name.first_seq, name.last_seq));
        let files: Vec<&DataFile> = files.into_iter().map(|(_, file)| file).collect();
        let closed = is_over(hour);
        let chosen = like_neighbours(&files, barriers)
            .into_iter()
            .find_map(|files| if closed { in_closed_hour(files, policy) } else { in_open_hour(files, policy) });
        chosen.map(|chosen| chosen.iter().map(|file| (*file).clone()).collect())
    })
}

/// Cuts before every file that is unlike the one before it.
fn like_neighbours<'a, 'b>(files: &'b [&'a DataFile], barriers: &Barriers) -> Vec<&'b [&'a DataFile]> {
    files.chunk_by(|file, next| !barriers.are_between(file, next)).collect()
}

/// The first neighbours that fit in the target together.
fn in_closed_hour<'a>(files: &[&'a DataFile], policy: Policy) -> Option<Vec<&'a DataFile>> {
    let mut group: Vec<&DataFile> = Vec::new();
    let mut bytes = 0_u64;
    for &file in files {
        let together = bytes.saturating_add(file.size_bytes);
        if together > policy.target_bytes || group.len() == INPUTS_MAX {
            if group.len() > 1 {
                return Some(group);
            }
            group.clear();
            bytes = 0;
        }
        bytes = bytes.saturating_add(file.size_bytes);
        group.push(file);
    }
    (group.len() > 1).then_some(group)
}

/// Neighbours of no higher tier than one of which there are enough, the lowest tier first.
fn in_open_hour<'a>(files: &[&'a DataFile], policy: Policy) -> Option<Vec<&'a DataFile>> {
    let finished = |file: &DataFile| file.size_bytes >= policy.target_bytes / 2;
    let mut tiers: Vec<u32> = files.iter().filter(|file| !finished(file)).map(|file| tier(file)).collect();
    tiers.sort_unstable();
    tiers.dedup();
    tiers.into_iter().find_map(|highest| {
        let runs = files.split(|file| finished(file) || tier(file) > highest);
        runs.filter_map(|run| first_of_tier(run, highest, policy)).next()
    })
}

/// The files of a run up to its eighth of the tier, or up to the target size if that comes first.
fn first_of_tier<'a>(run: &[&'a DataFile], of_tier: u32, policy: Policy) -> Option<Vec<&'a DataFile>> {
    let (mut count, mut bytes) = (0, 0_u64);
    for (index, file) in run.iter().take(INPUTS_MAX).enumerate() {
        count += usize::from(tier(file) == of_tier);
        bytes = bytes.saturating_add(file.size_bytes);
        let full = bytes >= policy.target_bytes / 2;
        if (count >= FAN_IN || full) && index > 0 {
            return run.get(..=index).map(<[_]>::to_vec);
        }
    }
    None
}

/// Powers of eight in its size.
fn tier(file: &DataFile) -> u32 {
    file.size_bytes.max(1).ilog2() / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { target_bytes: 128 << 20, keep_rows: 0 };

    fn file(hour: &str, seq: u64, size_bytes: u64) -> DataFile {
        let path = FileName { merged: false, first_seq: seq, last_seq: seq }.path(hour, seq);
        DataFile { path, size_bytes, rows: 1, start_range: None, received_hour: hour.to_owned(), content_hash: None }
    }

    /// Flushes files of one size at one pace and merges whatever is chosen; returns what is left, the most files there
    /// were at once, and bytes written by merges per byte flushed.
    fn simulate(flushes: u64, size: u64, policy: Policy) -> (Vec<DataFile>, usize, f64) {
        let (mut files, mut most, mut rewritten) = (Vec::new(), 0, 0);
        let merge = |files: &mut Vec<DataFile>, over: bool| {
            let mut bytes = 0;
            while let Some(chosen) = choose(files, policy, |_| over, &Barriers::default()) {
                let names: Vec<FileName> = chosen.iter().map(|file| FileName::parse(&file.path).unwrap()).collect();
                assert!(names.windows(2).all(|pair| pair[0].last_seq < pair[1].first_seq), "neighbours in order");
                let between = (names[0].first_seq, names.last().unwrap().last_seq);
                files.retain(|file| !chosen.iter().any(|input| input.path == file.path));
                let inside = |file: &DataFile| {
                    let name = FileName::parse(&file.path).unwrap();
                    between.0 <= name.first_seq && name.last_seq <= between.1
                };
                assert!(!files.iter().any(inside), "no file is left out between");
                let size_bytes = chosen.iter().map(|file| file.size_bytes).sum();
                assert!(size_bytes <= policy.target_bytes, "no file over the target");
                let name = FileName { merged: true, first_seq: between.0, last_seq: between.1 };
                bytes += size_bytes;
                files.push(DataFile { path: name.path("h", 0), size_bytes, ..chosen[0].clone() });
            }
            bytes
        };
        for seq in 0..flushes {
            files.push(file("h", seq, size));
            rewritten += merge(&mut files, false);
            most = most.max(files.len());
        }
        rewritten += merge(&mut files, true);
        let flushed = u32::try_from(flushes * size / 1024).unwrap();
        (files, most, f64::from(u32::try_from(rewritten / 1024).unwrap()) / f64::from(flushed))
    }

    /// Scenario: an hour of flushes each 10 s, from 20 kB to 10 MB a flush, with merges after each; then the hour is over.
    /// Guarantees: an open hour has a bounded number of unfinished files; a closed one has few, none over the target and
    /// no two neighbours that would fit together; a byte is rewritten at most as often as there are tiers, plus once.
    #[test]
    fn an_hour_stays_small_and_ends_in_few_files() {
        for size in [20 << 10, 200 << 10, 2_000 << 10, 10_000 << 10] {
            let (files, most, rewritten) = simulate(360, size, POLICY);
            let total: u64 = 360 * size;
            let full = usize::try_from(total / (POLICY.target_bytes / 2)).unwrap();
            assert!(most <= full + 4 * FAN_IN, "{size}: {most} files at once");
            assert!(files.windows(2).all(|pair| pair[0].size_bytes + pair[1].size_bytes > POLICY.target_bytes));
            let tiers = f64::from((POLICY.target_bytes / 2).ilog2() / 3 - size.ilog2() / 3 + 1);
            assert!(rewritten <= tiers + 1.0, "{size}: rewritten {rewritten} times, {tiers} tiers");
        }
    }

    /// Scenario: a closed hour that is done, files of other writers, and compaction turned off.
    /// Guarantees: nothing is chosen.
    #[test]
    fn what_is_done_is_left_alone() {
        let done = [file("h", 1, 100 << 20), file("h", 2, 90 << 20)];
        assert_eq!(choose(&done, POLICY, |_| true, &Barriers::default()), None);
        let foreign = DataFile { path: "received_hour=h/part-0.parquet".to_owned(), ..file("h", 1, 1) };
        assert_eq!(choose(&[foreign.clone(), foreign], POLICY, |_| true, &Barriers::default()), None);
        let small = [file("h", 1, 1), file("h", 2, 1)];
        assert_eq!(choose(&small, Policy { target_bytes: 0, keep_rows: 0 }, |_| true, &Barriers::default()), None);
        assert!(choose(&small, POLICY, |_| true, &Barriers::default()).is_some());
        let unlike = Barriers { unlike: HashSet::from([small[1].path.clone()]), ..Barriers::default() };
        assert_eq!(choose(&small, POLICY, |_| true, &unlike), None);
        let alone = Barriers { alone: HashSet::from([small[0].path.clone()]), ..Barriers::default() };
        assert_eq!(choose(&small, POLICY, |_| true, &alone), None);
        assert_eq!(
            choose(&[file("h", 1, 1), file("i", 2, 1)], POLICY, |_| true, &Barriers::default()),
            None,
            "never across hours"
        );
    }
}
