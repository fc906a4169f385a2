//! Feature flags of the shop: who gets which variant, where it is asked for, and what it does worse.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use xxhash_rust::xxh3::xxh3_64;

use crate::attributes::Attributes;
use crate::release::Effect;

/// A flag with the variants `off` and `on`, handed out by lot: by a hash of the user, so that a user always gets the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// `feature_flag.key`.
    pub key: String,
    /// `service.name` of the service that asks, each time it serves a request.
    pub service: String,
    /// When it begins to ask, counted from the model's origin.
    pub at: Duration,
    /// Share of the users who get `on`, 0 to 1.
    pub share: f64,
    /// Where the answer is written down.
    pub place: FlagPlace,
    /// What `on` does worse, in the service that asks.
    pub effect: Effect,
}

/// Where an evaluation is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagPlace {
    /// Among the attributes of the server span.
    Attributes,
    /// In an event of it.
    Event,
}

impl Flag {
    /// Whether this user gets `on`.
    pub(crate) fn is_on(&self, user: &str) -> bool {
        let hash = xxh3_64(format!("{}/{user}", self.key).as_bytes());
        #[expect(clippy::cast_precision_loss, reason = "53 bits of the hash are enough")]
        let drawn = (hash >> 11) as f64 / (1_u64 << 53) as f64;
        drawn < self.share
    }

    /// Writes down on a span what this user got.
    pub(crate) fn write(&self, span: &mut Span, user: &str) {
        let attributes = Attributes::new()
            .text("feature_flag.key", self.key.as_str())
            .text("feature_flag.result.variant", if self.is_on(user) { "on" } else { "off" })
            .text("feature_flag.result.reason", "split")
            .text("feature_flag.provider.name", "flagd")
            .text("feature_flag.version", "1")
            .finish();
        match self.place {
            FlagPlace::Attributes => span.attributes.extend(attributes),
            // At the very beginning of the span: events are dated by how long before its end they happen.
            FlagPlace::Event => span.events.push(Event {
                time_unix_nano: u64::MAX,
                name: "feature_flag.evaluation".into(),
                attributes,
                ..Event::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: 20,000 users and two flags of equal shares.
    /// Guarantees: each flag's share is met within two points, a user always gets the same, and one flag says nothing about the other.
    #[test]
    fn users_are_drawn_by_lot_and_stay() {
        let flag = |key: &str| Flag {
            key: key.into(),
            service: "search".into(),
            at: Duration::ZERO,
            share: 0.3,
            place: FlagPlace::Event,
            effect: Effect::None,
        };
        let (one, other) = (flag("a"), flag("b"));
        let users: Vec<String> = (0..20_000).map(|user| format!("usr_{user}")).collect();
        let share = |wanted: &dyn Fn(&str) -> bool| users.iter().filter(|user| wanted(user)).count() as f64 / 20_000.0;
        assert!((share(&|user| one.is_on(user)) - 0.3).abs() < 0.02);
        assert!((share(&|user| one.is_on(user) && other.is_on(user)) - 0.09).abs() < 0.02);
        assert!(users.iter().all(|user| one.is_on(user) == flag("a").is_on(user)));
    }
}
