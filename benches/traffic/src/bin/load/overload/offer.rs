//! Ways of offering requests.

use std::sync::Arc;
use std::time::Duration;

use daytwo_traffic::export::{Answer, Exporter};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::super::LoadError;
use super::super::report::as_f64;
use super::OverloadArgs;
use super::phase::{Phase, Tally};

/// How often requests are offered.
const TICK: Duration = Duration::from_millis(1);
/// What an exporter waits that is not told how long.
const PAUSE: Duration = Duration::from_secs(5);

/// That many times as many.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates; a factor is positive")]
pub(super) fn multiplied(count: usize, factor: f64) -> usize {
    (as_f64(count as u64) * factor.max(0.0)) as usize
}

/// What an exporter does that is told to send a request later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It waits, and sends it again.
    Waits,
    /// It goes on with the next at once; that one comes again in its turn.
    GoesOn,
}

/// Exporters send one request after the other, each consumer of theirs the next once the one before is answered.
pub(super) async fn closed_loop(
    args: &OverloadArgs,
    phase: Arc<Phase>,
    exporters: &[Arc<Exporter>],
    told: Told,
) -> Result<Tally, LoadError> {
    let (began, mut consumers) = (Instant::now(), JoinSet::new());
    let end = began + args.duration;
    for exporter in exporters.iter().flat_map(|exporter| std::iter::repeat_n(exporter, args.consumers.max(1))) {
        consumers.spawn(consume(Arc::clone(&phase), Arc::clone(exporter), end, told));
    }
    until_over(&phase, began, end, consumers).await
}

async fn consume(phase: Arc<Phase>, exporter: Arc<Exporter>, end: Instant, told: Told) {
    while Instant::now() < end {
        let Some(request) = phase.take() else { return };
        while let Answer::Retry { after, .. } = phase.send(&exporter, &request).await {
            let next = Instant::now() + after.unwrap_or(PAUSE);
            if told == Told::GoesOn {
                phase.send_later(request);
                break;
            }
            if next >= end {
                return;
            }
            tokio::time::sleep_until(next).await;
        }
    }
}

/// Requests are sent at a rate, whether those before are answered or not; one that was shed is offered again in its turn.
pub(super) async fn open_loop(
    args: &OverloadArgs,
    phase: Arc<Phase>,
    exporters: &[Arc<Exporter>],
    rate: f64,
) -> Result<Tally, LoadError> {
    let began = Instant::now();
    let end = began + args.duration;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut sending, mut spans) = (JoinSet::new(), 0_u64);
    let mut turns = exporters.iter().cycle();
    while Instant::now() < end {
        ticks.tick().await;
        while sending.try_join_next().transpose()?.is_some() {}
        while as_f64(spans) < rate * began.elapsed().as_secs_f64() {
            let (Some(request), Some(exporter)) = (phase.take(), turns.next()) else { break };
            spans += request.spans;
            if sending.len() >= args.inflight_max {
                phase.put_back(request);
                continue;
            }
            let (phase, exporter) = (Arc::clone(&phase), Arc::clone(exporter));
            sending.spawn(async move {
                if let Answer::Retry { .. } = phase.send(&exporter, &request).await {
                    phase.send_later(request);
                }
            });
        }
    }
    until_over(&phase, began, end, sending).await
}

async fn until_over(phase: &Phase, began: Instant, end: Instant, mut senders: JoinSet<()>) -> Result<Tally, LoadError> {
    let mut over = false;
    while !senders.is_empty() {
        tokio::select! {
            ended = senders.join_next() => ended.transpose()?,
            () = tokio::time::sleep_until(end), if !over => {
                over = true;
                phase.time_is_over(began);
                continue;
            }
        };
    }
    if !over {
        phase.time_is_over(began);
    }
    Ok(phase.finish())
}
