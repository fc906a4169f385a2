//! Taking the log over: along the names from where files end, up to the first that is free, which gets the seal.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, PutMode};

use super::stored::StoredRound;
use super::{FOLDER, Position, Seal, StoredRounds};
use crate::dedup::Remembered;
use crate::object::Remote;
use crate::quarantine::{Quarantine, sidecar};
use crate::wal::reader::{self, Contents};
use crate::wal::replay::Replayed;
use crate::{Ack, Clock, Replay, Result, SpanBatch, StorageError};

/// A name is asked for, and a seal put there, this often at most while the store gives no answer.
const TRIES: u32 = 100;
/// 256 MiB of rounds that are in files already are read again at a start, the youngest, for the hashes of their requests.
const REMEMBERED_BYTES_MAX: u64 = 256 << 20;
const READS_AT_ONCE: usize = 8;

/// What takes the log over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taker {
    /// Its claim on the table; none for one that only reads.
    pub(crate) claim: Option<u64>,
    /// How it acknowledges requests.
    pub(crate) ack: Ack,
    /// Its requests have no lower seq.
    pub(crate) seq_min: u64,
}

/// A round as it was found.
#[derive(Debug)]
struct Round {
    at: Position,
    bytes: Bytes,
    contents: Contents,
    last_seq: u64,
}

/// What a server has taken over.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Rounds with requests that are in no file.
    rounds: Vec<Round>,
    /// Rounds whose requests are in files.
    covered: Vec<Round>,
    /// Where its own rounds begin.
    pub(crate) next: Position,
    watermark: u64,
}

/// Finds the requests behind `from` that were acknowledged in the store, and seals the log of whoever wrote them.
///
/// # Errors
/// [`StorageError::Unfit`] when there are some although requests are to be acknowledged on the local disk; [`StorageError::Corrupt`]
/// when a round is damaged so that the next one cannot be found; [`StorageError::Io`] when the store gives no answer.
pub(crate) async fn take_over(remote: &Remote, from: Position, taker: Taker) -> Result<Taken> {
    let mut walk = Walk { remote, taker, at: from, rounds: Vec::new(), silences: 0, nonce: rand::random() };
    while !walk.step().await? {}
    let (rounds, at) = (walk.rounds, walk.at);
    let next = Position { epoch: taker.claim.unwrap_or(at.epoch), seq: at.seq.max(taker.seq_min) };
    let covered = match taker.ack {
        Ack::Object => covered(remote, from).await,
        Ack::Local => Vec::new(),
    };
    Ok(Taken { rounds, covered, next, watermark: from.seq.saturating_sub(1) })
}

struct Walk<'a> {
    remote: &'a Remote,
    taker: Taker,
    at: Position,
    rounds: Vec<Round>,
    silences: u32,
    nonce: u128,
}

impl Walk<'_> {
    /// Looks at the next name; whether it is the end.
    async fn step(&mut self) -> Result<bool> {
        let name = self.at.name();
        let found = match self.remote.read(&name).await {
            Ok(found) => found,
            Err(error) => return self.silence(error).map(|()| false),
        };
        let Some(bytes) = found else {
            return self.seal(&name).await;
        };
        if let Some(seal) = Seal::parse(&bytes) {
            if Some(seal.next.epoch) == self.taker.claim {
                return Ok(true);
            }
            self.at = seal.next;
            return Ok(false);
        }
        if self.taker.ack == Ack::Local && self.taker.claim.is_some() {
            let reason = "it holds requests that were acknowledged there and are in no file yet; start once with storage.ack = \
                          \"object\" and stop that server in an orderly way, then start with \"local\"";
            return Err(StorageError::Unfit { store: self.remote.name().to_owned(), reason: reason.to_owned() });
        }
        let round = Round::of(self.at, bytes)?;
        self.at.seq = round.last_seq.saturating_add(1);
        self.rounds.push(round);
        Ok(false)
    }

    /// Nothing is at `name`: it gets the seal, unless something comes there first.
    async fn seal(&mut self, name: &str) -> Result<bool> {
        let Some(epoch) = self.taker.claim else {
            return Ok(true);
        };
        let next = Position { epoch, seq: self.at.seq.max(self.taker.seq_min) };
        let seal = Seal { next, nonce: self.nonce }.encode();
        match self.remote.store().put_opts(&Path::from(name), seal.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            // What is there now decides.
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => self.silence(self.remote.failed("seal", name, error)).map(|()| false),
        }
    }

    fn silence(&mut self, error: StorageError) -> Result<()> {
        self.silences = self.silences.saturating_add(1);
        if self.silences > TRIES { Err(error) } else { Ok(()) }
    }
}

impl Round {
    fn of(at: Position, bytes: Bytes) -> Result<Self> {
        let contents = reader::read(&bytes);
        let in_frames = contents.frames.iter().map(|(_, parsed)| parsed.seq).max();
        // The header says it too, for a round whose last frame is damaged.
        let in_header = contents.header.map(|header| header.previous_end);
        let last_seq = in_header.or(in_frames).filter(|last| *last >= at.seq);
        let reason =
            "neither a round of requests nor a seal; restore it from a copy, or remove it if its loss is accepted";
        let last_seq =
            last_seq.ok_or_else(|| StorageError::Corrupt { path: at.name().into(), reason: reason.to_owned() })?;
        Ok(Self { at, bytes, contents, last_seq })
    }

    fn stored(&self) -> StoredRound {
        let received = self.contents.frames.iter().map(|(_, parsed)| parsed.frame.received);
        StoredRound {
            at: self.at,
            bytes: self.bytes.len() as u64,
            last_seq: self.last_seq,
            newest_received: received.max().unwrap_or_default(),
        }
    }

    fn remembered(&self) -> impl Iterator<Item = Remembered> {
        self.contents.frames.iter().map(|(_, parsed)| Remembered {
            hash: parsed.frame.request_hash,
            seq: parsed.seq,
            received: parsed.frame.received,
        })
    }
}

/// The youngest rounds before `from`, for the memory of requests. A list that is behind makes that memory shorter and nothing else.
async fn covered(remote: &Remote, from: Position) -> Vec<Round> {
    let mut listed = match remote.list_async(FOLDER).await {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(%error, "requests of the last minutes may be stored again if they are sent again");
            return Vec::new();
        }
    };
    listed.retain(|(name, _)| Position::parse(name).is_some_and(|at| at.seq < from.seq && at.epoch <= from.epoch));
    listed.sort_by_key(|(name, _)| std::cmp::Reverse(Position::parse(name)));
    let mut left = REMEMBERED_BYTES_MAX;
    let names = listed.into_iter().take_while(|(_, size)| {
        let fits = *size <= left;
        left = left.saturating_sub(*size);
        fits
    });
    let read = stream::iter(names.collect::<Vec<_>>())
        .map(|(name, _)| async move { Some((Position::parse(&name)?, remote.read(&name).await.ok()??)) })
        .buffered(READS_AT_ONCE);
    let mut rounds: Vec<Round> = read
        .filter_map(|found| std::future::ready(found.and_then(|(at, bytes)| Round::of(at, bytes).ok())))
        .collect()
        .await;
    rounds.reverse();
    rounds
}

impl Taken {
    /// Decodes the requests that are in no file. What cannot be decoded is set aside in the store.
    ///
    /// # Errors
    /// [`StorageError::Io`] when that cannot be written.
    pub(crate) fn replay(&self, replay: &dyn Replay, quarantine: &Quarantine, clock: &dyn Clock) -> Result<Replayed> {
        let mut out = Replayed::default();
        out.resume.next_seq = self.next.seq;
        out.remembered = self.covered.iter().chain(&self.rounds).flat_map(Round::remembered).collect();
        for round in &self.rounds {
            for damaged in round.contents.damaged.iter().chain([&round.contents.tail]).filter(|range| !range.is_empty())
            {
                let aside = set_aside(round, damaged.clone(), "bytes are not a frame", quarantine, clock)?;
                out.holes.push(aside);
            }
            for (offset, parsed) in &round.contents.frames {
                match decode(replay, parsed) {
                    Ok(batch) => out.batches.push((parsed.seq, parsed.frame.received, batch)),
                    Err(reason) => {
                        let range = *offset..offset.saturating_add(parsed.length);
                        let reason = format!("the request cannot be decoded: {reason}");
                        out.holes.push(set_aside(round, range, &reason, quarantine, clock)?);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Hands the rounds over to who removes them once they are covered.
    pub(crate) fn restore(&self, to: &StoredRounds) {
        to.restore(self.covered.iter().chain(&self.rounds).map(Round::stored).collect(), self.watermark);
    }
}

/// A decoder that panics on a stored frame must not keep the store from opening for ever.
fn decode(replay: &dyn Replay, parsed: &crate::wal::frame::Parsed) -> Result<SpanBatch, String> {
    catch_unwind(AssertUnwindSafe(|| replay.decode(&parsed.frame)))
        .unwrap_or_else(|_| Err("the decoder panicked".to_owned()))
}

fn set_aside(
    round: &Round,
    range: std::ops::Range<usize>,
    reason: &str,
    quarantine: &Quarantine,
    clock: &dyn Clock,
) -> Result<String> {
    let source = round.at.name();
    let offsets = range.start as u64..range.end as u64;
    let aside = sidecar(clock, source.clone(), offsets, reason.to_owned());
    let name = format!("{}-{}.bin", source.replace('/', "__"), range.start);
    quarantine.copy_to_store(&name, round.bytes.get(range).unwrap_or_default(), &aside)?;
    tracing::error!(round = source, reason, "damaged bytes of a round set aside");
    Ok(aside.hole())
}
