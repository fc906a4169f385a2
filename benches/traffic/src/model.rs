//! [`Model`]: a seed, an origin in time and releases in, traces out.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::describe::Scope;
use crate::flag::Flag;
use crate::pods::{PodId, Pods};
use crate::release::{Effect, Release};
use crate::shop::{JOURNEYS, Journey};
use crate::simulate::Walk;

/// What a model depends on; equal settings give equal traces, byte for byte.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// Nanoseconds since the Unix epoch from which the releases count.
    pub origin_unix_nano: u64,
    /// Releases. Those of one service take over from one another in this order.
    pub releases: Vec<Release>,
    /// `deployment.environment.name` of all services.
    pub environment: String,
    /// Feature flags that services ask for.
    pub flags: Vec<Flag>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { seed: 1, origin_unix_nano: 0, releases: Vec::new(), environment: "production".into(), flags: Vec::new() }
    }
}

/// A span as an SDK hands it to its exporter.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedSpan {
    /// The pod it comes from.
    pub pod: PodId,
    /// The instrumentation library that made it.
    pub scope: Scope,
    /// The span.
    pub span: Span,
}

/// The simulated shop.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    pods: Pods,
}

impl Model {
    /// A shop under these settings.
    pub fn new(config: ModelConfig) -> Self {
        let pods = Pods::new(&config.releases, &config.environment);
        Self { config, pods }
    }

    /// The pods that its spans come from.
    pub fn pods(&self) -> &Pods {
        &self.pods
    }

    /// The releases under way or to come.
    pub fn releases(&self) -> &[Release] {
        &self.config.releases
    }

    /// The spans of the `index`-th journey, begun at `start_unix_nano`, in the order in which they end on their
    /// branch. A checkout also starts a second trace: the consumer's, linked to the producer's span.
    pub fn trace(&self, index: u64, start_unix_nano: u64) -> Vec<FinishedSpan> {
        let mut rng = StdRng::seed_from_u64(mix(self.config.seed, index));
        let journey = draw_journey(&mut rng);
        Walk::new(self, rng, journey.name).run(journey.entry, start_unix_nano)
    }

    /// The pod that answers a call to `service` at that time; `share` and `replica` are the draws that decide.
    pub(crate) fn pod_at(&self, service: &str, at_unix_nano: u64, share: f64, replica: u32) -> PodId {
        let since = Duration::from_nanos(at_unix_nano.saturating_sub(self.config.origin_unix_nano));
        let own = self.config.releases.iter().filter(|release| release.service == service);
        let version = own.enumerate().filter(|(_, release)| share < release.share(since)).map(|(nth, _)| nth + 1);
        self.pods.choose(service, version.last().unwrap_or(0), replica)
    }

    /// The flags that a service asks for at that time.
    pub(crate) fn flags_of<'m>(&'m self, service: &'m str, at_unix_nano: u64) -> impl Iterator<Item = &'m Flag> {
        let since = Duration::from_nanos(at_unix_nano.saturating_sub(self.config.origin_unix_nano));
        self.config.flags.iter().filter(move |flag| flag.service == service && flag.at <= since)
    }

    /// What the version that the pod runs does worse.
    pub(crate) fn effect_of(&self, pod: PodId) -> Option<&Effect> {
        let release = self.pods.get(pod)?.release?;
        self.config.releases.get(release).map(|release| &release.effect)
    }
}

fn draw_journey(rng: &mut StdRng) -> &'static Journey {
    let mut ticket = rng.random_range(0..100_u32);
    for journey in &JOURNEYS {
        if ticket < journey.percent {
            return journey;
        }
        ticket -= journey.percent;
    }
    &JOURNEYS[0]
}

/// Spreads seed and index over 64 bits (the finalizer of `SplitMix64`), so that neighbours share nothing.
fn mix(seed: u64, index: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;
