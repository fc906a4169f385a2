//! The demo's story: a bad canary of `payment` and a harmless release of `recommendation`.

use std::time::Duration;

use crate::release::{Effect, Release, Rollout};

/// What a demo plays.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Journeys begun per second.
    pub traces_per_second: f64,
    /// Releases on their way.
    pub releases: Vec<Release>,
}

/// The scenario of `daytwo demo`. 30 s after the start every second charge goes to a new version of `payment` whose
/// `POST /charge` needs 60 % more time of its own; 20 s after the start `recommendation` gets a harmless patch.
pub fn demo_scenario() -> Scenario {
    let harmless = Release {
        service: "recommendation".into(),
        from_version: "v1.8.0".into(),
        to_version: "v1.8.1".into(),
        at: Duration::from_secs(20),
        rollout: Rollout::Canary { share: 0.5 },
        effect: Effect::None,
    };
    let bad = Release {
        service: "payment".into(),
        from_version: "v2.14.1".into(),
        to_version: "v2.15.0".into(),
        at: Duration::from_secs(30),
        rollout: Rollout::Canary { share: 0.5 },
        effect: Effect::SlowerSelf { operation: "POST /charge".into(), factor: 1.6, add: Duration::ZERO },
    };
    Scenario { traces_per_second: 50.0, releases: vec![harmless, bad] }
}
