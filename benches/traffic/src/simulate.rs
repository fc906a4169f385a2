//! Walks the shop's tables and leaves the spans of one trace behind.
//!
//! Two rules keep releases comparable. Every random draw happens whether or not a release is under way, so the same
//! trace with and without a [`crate::Effect`] on latency differs in nothing but times. And an operation's own work is
//! drawn apart from what it waits for, so that a slower operation lengthens itself, and its ancestors only wait.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::describe::{self, Outcome, Scene};
use crate::flag::Flag;
use crate::model::{FinishedSpan, Model};
use crate::pods::PodId;
use crate::release::Effect;
use crate::shop::{Exception, OnFailure, Operation, Query, Step};
use crate::visit::Visit;

/// How a call or a step ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    at: u64,
    failure: Option<Exception>,
}

impl Ended {
    fn well(at: u64) -> Self {
        Self { at, failure: None }
    }
}

/// The span that a step belongs to.
#[derive(Debug, Clone, Copy)]
struct Parent {
    pod: PodId,
    span_id: [u8; 8],
    service: &'static str,
    operation: &'static str,
}

/// A message on its way to its consumer.
struct Message {
    operation: &'static Operation,
    arrives: u64,
    link: Link,
}

/// One trace in the making, with those that its messages start.
pub(crate) struct Walk<'m> {
    model: &'m Model,
    rng: StdRng,
    visit: Visit,
    trace_id: [u8; 16],
    spans: Vec<FinishedSpan>,
    messages: Vec<Message>,
}

impl<'m> Walk<'m> {
    pub(crate) fn new(model: &'m Model, mut rng: StdRng, journey: &'static str) -> Self {
        let visit = Visit::draw(&mut rng, journey);
        let trace_id = nonzero(&mut rng);
        Self { model, rng, visit, trace_id, spans: Vec::with_capacity(40), messages: Vec::new() }
    }

    /// Serves the journey's entry, then what its messages start.
    pub(crate) fn run(mut self, entry: &'static Operation, start: u64) -> Vec<FinishedSpan> {
        self.serve(entry, None, Vec::new(), start);
        while let Some(message) = self.messages.pop() {
            self.trace_id = nonzero(&mut self.rng);
            self.serve(message.operation, None, vec![message.link], message.arrives);
        }
        self.spans
    }

    /// The callee's side of a call: a SERVER or CONSUMER span.
    fn serve(&mut self, operation: &'static Operation, caller: Option<Parent>, links: Vec<Link>, at: u64) -> Ended {
        let pod = self.choose_pod(operation.service, at);
        let span_id = nonzero(&mut self.rng);
        let me = Parent { pod, span_id, service: operation.service, operation: operation.name };
        let (factor, add_ms) = self.effect(pod).map_or((1.0, 0.0), |effect| effect.on_self(operation.name));
        let user = self.visit.user.clone();
        let flags: Vec<&'m Flag> = self.model.flags_of(operation.service, at).collect();
        let on = || flags.iter().filter(|flag| flag.is_on(&user)).map(|flag| &flag.effect);
        let (factor, add_ms) = on().map(|effect| effect.on_self(operation.name)).fold((factor, add_ms), |sum, one| {
            let (factor, add_ms) = one;
            (sum.0 * factor, sum.1 + add_ms)
        });
        let work_ms = self.lognormal(operation.self_ms, operation.sigma) * factor + add_ms;
        let more_faults =
            self.effect(pod).into_iter().chain(on()).map(|effect| effect.on_faults(operation.name)).sum::<f64>();
        let own_fault = self.rng.random::<f64>() < operation.fault + more_faults;
        let steps = if own_fault { half(operation.steps) } else { operation.steps };
        let mut ended = self.run_steps(steps, me, at, work_ms);
        let inherited = ended.failure;
        if own_fault {
            ended.failure = ended.failure.or(Some(operation.exception));
        }
        let outcome = Outcome { failure: ended.failure, raised_here: own_fault && inherited.is_none() };
        let peer = caller.map(|caller| caller.pod);
        let mut described = describe::served(&mut self.scene(me), operation, peer, outcome);
        flags.iter().for_each(|flag| flag.write(&mut described.span, &user));
        let parent = caller.map(|caller| caller.span_id);
        self.finish(pod, described, span_id, parent, links, at, ended.at);
        ended
    }

    /// Does the steps one after the other, with the operation's own work spread evenly before, between and after.
    fn run_steps(&mut self, steps: &'static [Step], me: Parent, at: u64, work_ms: f64) -> Ended {
        let pieces = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        let piece = nanos(work_ms / f64::from(pieces));
        let mut ended = Ended::well(at + piece);
        for step in steps {
            ended = self.step(step, me, ended.at);
            ended.at += piece;
            if ended.failure.is_some() {
                break;
            }
        }
        ended
    }

    fn step(&mut self, step: &'static Step, me: Parent, at: u64) -> Ended {
        match step {
            Step::Call(operation, policy) => self.call_with(*policy, operation, me, at),
            Step::Query(query) => self.query(query, me, at),
            Step::Sometimes(share, inner) => {
                let does = self.rng.random::<f64>() < *share;
                if does { self.step(inner, me, at) } else { Ended::well(at) }
            }
            Step::EachItem(most, inner) => self.each_item(*most, inner, me, at),
            Step::Parallel(steps) => self.parallel(steps, me, at),
            Step::Internal(name, ms, sigma) => self.internal(name, (*ms, *sigma), me, at),
            Step::Publish(operation) => self.publish(operation, me, at),
        }
    }

    fn each_item(&mut self, most: u32, inner: &'static Step, me: Parent, at: u64) -> Ended {
        let mut ended = Ended::well(at);
        for _ in 0..self.rng.random_range(1..=most) {
            ended = self.step(inner, me, ended.at);
            if ended.failure.is_some() {
                break;
            }
        }
        ended
    }

    fn parallel(&mut self, steps: &'static [Step], me: Parent, at: u64) -> Ended {
        let mut all = Ended::well(at);
        for step in steps {
            let one = self.step(step, me, at);
            all = Ended { at: all.at.max(one.at), failure: all.failure.or(one.failure) };
        }
        all
    }

    fn call_with(&mut self, policy: OnFailure, operation: &'static Operation, me: Parent, at: u64) -> Ended {
        let first = self.call(operation, me, at, 0);
        match (policy, first.failure) {
            (OnFailure::Ignore, _) => Ended::well(first.at),
            (OnFailure::Retry, Some(_)) => {
                let backoff = self.rng.random_range(15.0..40.0);
                self.call(operation, me, first.at + nanos(backoff), 1)
            }
            _ => first,
        }
    }

    /// The caller's side of a call: a CLIENT span around the network and the callee's span.
    fn call(&mut self, operation: &'static Operation, me: Parent, at: u64, resend: i64) -> Ended {
        let span_id = nonzero(&mut self.rng);
        let slower = self.effect(me.pod).map_or(0.0, |effect| effect.on_edge(operation.service));
        let (there, back) = (self.network_ms() + slower, self.network_ms());
        let caller = Parent { span_id, ..me };
        let served = self.serve(operation, Some(caller), Vec::new(), at + nanos(there));
        let ended = Ended { at: served.at + nanos(back), ..served };
        let outcome = Outcome { failure: ended.failure, raised_here: false };
        let callee = self.spans.last().map(|span| span.pod);
        let described = describe::called(&mut self.scene(me), operation, callee, resend, outcome);
        self.finish(me.pod, described, span_id, Some(me.span_id), Vec::new(), at, ended.at);
        ended
    }

    /// A call to a data store: a CLIENT span alone. Unless it is retried, its failure costs nothing but the answer.
    fn query(&mut self, query: &'static Query, me: Parent, at: u64) -> Ended {
        let first = self.query_once(query, me, at);
        if !query.retried || first.failure.is_none() {
            return Ended::well(first.at);
        }
        let backoff = self.rng.random_range(3.0..12.0);
        self.query_once(query, me, first.at + nanos(backoff))
    }

    fn query_once(&mut self, query: &'static Query, me: Parent, at: u64) -> Ended {
        let span_id = nonzero(&mut self.rng);
        let took = self.lognormal(query.ms, query.sigma) + 2.0 * self.network_ms() / 4.0;
        let failed = self.rng.random::<f64>() < query.fault;
        let outcome = Outcome { failure: failed.then_some(query.exception), raised_here: failed };
        let ended = Ended { at: at + nanos(took), failure: outcome.failure };
        let described = describe::queried(&mut self.scene(me), query, outcome);
        self.finish(me.pod, described, span_id, Some(me.span_id), Vec::new(), at, ended.at);
        ended
    }

    fn internal(&mut self, name: &'static str, (ms, sigma): (f64, f64), me: Parent, at: u64) -> Ended {
        let span_id = nonzero(&mut self.rng);
        let end = at + nanos(self.lognormal(ms, sigma));
        let described = describe::internal(&mut self.scene(me), name);
        self.finish(me.pod, described, span_id, Some(me.span_id), Vec::new(), at, end);
        Ended::well(end)
    }

    fn publish(&mut self, operation: &'static Operation, me: Parent, at: u64) -> Ended {
        let span_id = nonzero(&mut self.rng);
        let end = at + nanos(self.lognormal(1.6, 0.3));
        let described = describe::published(&mut self.scene(me), operation);
        self.finish(me.pod, described, span_id, Some(me.span_id), Vec::new(), at, end);
        let link = Link { trace_id: self.trace_id.into(), span_id: span_id.into(), flags: SAMPLED, ..Link::default() };
        let arrives = end + nanos(self.rng.random_range(3.0..60.0));
        self.messages.push(Message { operation, arrives, link });
        Ended::well(end)
    }

    fn choose_pod(&mut self, service: &str, at: u64) -> PodId {
        let (share, replica) = (self.rng.random::<f64>(), self.rng.next_u32());
        self.model.pod_at(service, at, share, replica)
    }

    fn effect(&self, pod: PodId) -> Option<&'m Effect> {
        self.model.effect_of(pod)
    }

    fn scene(&mut self, me: Parent) -> Scene<'_> {
        Scene {
            pods: self.model.pods(),
            rng: &mut self.rng,
            visit: &self.visit,
            pod: me.pod,
            service: me.service,
            operation: me.operation,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a span, used in five places of this file")]
    fn finish(
        &mut self,
        pod: PodId,
        described: describe::Described,
        span_id: [u8; 8],
        parent: Option<[u8; 8]>,
        links: Vec<Link>,
        start: u64,
        end: u64,
    ) {
        let describe::Described { scope, mut span } = described;
        span.trace_id = self.trace_id.into();
        span.span_id = span_id.into();
        span.parent_span_id = parent.map_or_else(Vec::new, Into::into);
        span.trace_state = TRACE_STATE.into();
        span.flags = SAMPLED | HAS_IS_REMOTE;
        if parent.is_some() && (span.kind == SpanKind::Server as i32) {
            span.flags |= IS_REMOTE;
        }
        span.start_time_unix_nano = start;
        span.end_time_unix_nano = end;
        span.links = links;
        for event in &mut span.events {
            event.time_unix_nano = end.saturating_sub(event.time_unix_nano.min(end - start));
        }
        self.spans.push(FinishedSpan { pod, scope, span });
    }

    /// One way over the network between two pods.
    fn network_ms(&mut self) -> f64 {
        self.lognormal(0.4, 0.4).clamp(0.1, 1.0)
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box-Muller; `1 - u` keeps the logarithm away from zero.
        let (u, v) = (self.rng.random::<f64>(), self.rng.random::<f64>());
        let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        median * (sigma * normal).exp()
    }
}

/// W3C trace state: the tenant and sampling threshold of the shop's edge.
const TRACE_STATE: &str = "shop=eu1,ot=th:0";
/// W3C trace flag.
const SAMPLED: u32 = 1;
/// OTLP span flags: whether the next bit is known, and whether the parent lives in another process.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

fn half(steps: &'static [Step]) -> &'static [Step] {
    steps.get(..steps.len() / 2).unwrap_or_default()
}

fn nanos(ms: f64) -> u64 {
    let duration = Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Random bytes that are not all zero.
fn nonzero<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    if bytes == [0; N] { [1; N] } else { bytes }
}
