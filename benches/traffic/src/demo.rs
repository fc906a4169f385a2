//! The demo's story: a bad canary of `payment` and a harmless release of `recommendation`; a bad flag in `search` and a harmless one in
//! `frontend`.

use std::time::Duration;

use crate::flag::{Flag, FlagPlace};
use crate::release::{Effect, Release, Rollout};

/// What a demo plays.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Journeys begun per second.
    pub traces_per_second: f64,
    /// Releases on their way.
    pub releases: Vec<Release>,
    /// Feature flags.
    pub flags: Vec<Flag>,
}

/// The scenario of `daytwo demo`. 30 s after the start every second charge goes to a new version of `payment` whose
/// `POST /charge` needs 60 % more time of its own; 20 s after the start `recommendation` gets a harmless patch. All along half of the users
/// have the flag `search-ranking`, with which `GET /search` needs 80 % more time of its own, and half have a harmless banner.
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
    Scenario { traces_per_second: 50.0, releases: vec![harmless, bad], flags: flags() }
}

fn flags() -> Vec<Flag> {
    let bad = Flag {
        key: "search-ranking".into(),
        service: "search".into(),
        at: Duration::ZERO,
        share: 0.5,
        place: FlagPlace::Attributes,
        effect: Effect::SlowerSelf { operation: "GET /search".into(), factor: 1.8, add: Duration::ZERO },
    };
    let harmless = Flag {
        key: "spring-banner".into(),
        service: "frontend".into(),
        at: Duration::ZERO,
        share: 0.5,
        place: FlagPlace::Event,
        effect: Effect::None,
    };
    vec![bad, harmless]
}
