//! The one thread that writes rounds.
//!
//! It takes the first request that waits, gathers others for a moment, and puts them as one object on the condition that its name is
//! free. When the answer is lost it asks what is there: its own bytes mean success, a seal means that another server has
//! taken over, nothing means that the put is sent again. A round is never given up for another one under the same name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode};
use tokio::sync::mpsc;

use super::stored::StoredRound;
use super::{Position, StoredRounds};
use crate::object::Remote;
use crate::wal::frame;
use crate::wal::health::Health;
use crate::wal::segment::SegmentHeader;
use crate::wal::writer::{Append, Refusal, Rounds};
use crate::{Clock, Result, StorageError};

/// 8 MiB: a round that goes in one request.
const ROUND_BYTES_MAX: u64 = 8 << 20;
/// Bounds of the waits before a put is sent again; each is twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Once the store of spans closes, a put without an answer is sent this often at most.
const TRIES_WHEN_CLOSING: u32 = 5;

/// Writes rounds of requests to the store.
#[derive(Debug)]
pub(crate) struct RoundWriter {
    remote: Arc<Remote>,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    stored: Arc<StoredRounds>,
    next: Position,
    linger: Duration,
}

impl RoundWriter {
    /// A writer that begins at `next` and gathers requests for `linger`.
    pub(crate) fn new(
        remote: Arc<Remote>,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
        stored: Arc<StoredRounds>,
        next: Position,
        linger: Duration,
    ) -> Self {
        Self { remote, clock, health, stored, next, linger }
    }

    /// Serves the queue until it is closed and empty.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Append>, rounds: &impl Rounds) {
        while let Some(first) = queue.blocking_recv() {
            let round = self.gather(first, &mut queue);
            match self.commit(&round, &queue) {
                Ok(first_seq) => rounds.stored((first_seq..).zip(round).collect()),
                Err(error) => rounds.refused(round, &Refusal::of(error)),
            }
        }
    }

    fn gather(&self, first: Append, queue: &mut mpsc::Receiver<Append>) -> Vec<Append> {
        let until = Instant::now() + self.linger;
        let mut bytes = first.frame_bytes;
        let mut round = vec![first];
        while bytes < ROUND_BYTES_MAX {
            let next = match queue.try_recv() {
                Ok(next) => Some(next),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => self.remote.wait_until(until, queue.recv()).flatten(),
            };
            let Some(next) = next else { break };
            bytes = bytes.saturating_add(next.frame_bytes);
            round.push(next);
        }
        round
    }

    /// Puts a round into the store; returns the seq of its first request.
    fn commit(&mut self, round: &[Append], queue: &mpsc::Receiver<Append>) -> Result<u64> {
        self.health.check_writable()?;
        let first_seq = self.next.seq;
        let bytes = self.encode(round)?;
        self.health.round_began(self.clock.now());
        let began = Instant::now();
        let outcome = self.put(&bytes, queue);
        self.health.synced(began.elapsed());
        self.health.round_ended();
        outcome?;
        self.health.succeeded();
        self.next.seq = first_seq.saturating_add(round.len() as u64);
        self.stored.add(StoredRound {
            at: Position { seq: first_seq, ..self.next },
            bytes: bytes.len() as u64,
            last_seq: self.next.seq.saturating_sub(1),
            newest_received: round.iter().map(|append| append.frame.received).max().unwrap_or_default(),
        });
        Ok(first_seq)
    }

    fn encode(&self, round: &[Append]) -> Result<Bytes> {
        let header = SegmentHeader {
            number: self.next.epoch,
            epoch: rand::random(),
            first_seq: self.next.seq,
            previous_end: self.next.seq.saturating_add(round.len() as u64).saturating_sub(1),
            previous_torn: 0,
            created: self.clock.now(),
        };
        let mut bytes = header.encode().to_vec();
        for (seq, append) in (self.next.seq..).zip(round) {
            let round_offset = bytes.len().saturating_sub(crate::wal::segment::HEADER_BYTES);
            frame::encode(&append.frame, seq, header.epoch, round_offset, &mut bytes)?;
        }
        Ok(bytes.into())
    }

    /// Until something is known to be at the name: this round, or what keeps it out.
    fn put(&self, bytes: &Bytes, queue: &mpsc::Receiver<Append>) -> Result<()> {
        let name = self.next.name();
        let mut pause = self.remote.first_pause().max(PAUSE_MIN);
        let mut tries_when_closing = 0;
        loop {
            let Err(error) = self.create(&name, bytes) else {
                return Ok(());
            };
            match self.remote.find(&name) {
                Ok(Some(found)) if found == bytes => return Ok(()),
                Ok(Some(_)) => return Err(self.sealed()),
                Ok(None) | Err(_) => {}
            }
            tracing::debug!(%error, round = name, "a round has no answer yet and is sent again");
            if queue.is_closed() {
                tries_when_closing += 1;
                if tries_when_closing >= TRIES_WHEN_CLOSING {
                    let reason = "the last round has no answer from the object store".to_owned();
                    self.health.refuse_writes(reason);
                    return Err(error);
                }
                continue;
            }
            self.remote.pause(pause);
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    fn create(&self, name: &str, bytes: &Bytes) -> Result<()> {
        let store = self.remote.store();
        let put = async { store.put_opts(&Path::from(name), bytes.clone().into(), PutMode::Create.into()).await };
        self.remote.wait(put).map(|_| ()).map_err(|error| self.remote.failed("write", name, error))
    }

    fn sealed(&self) -> StorageError {
        let reason =
            "another server has taken over the log in the object store; stop one of the two, then restart this one";
        self.health.refuse_writes(reason.to_owned());
        tracing::error!("another server has taken over the log in the store; this one takes no writes any more");
        StorageError::ReadOnly { reason: reason.to_owned() }
    }
}
