//! Who visits the shop and what they buy: the values that the spans of one trace share.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use xxhash_rust::xxh3::xxh3_64;

use crate::pods::uuid;

/// One visit of one user.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) journey: &'static str,
    pub(crate) user: String,
    pub(crate) session: String,
    pub(crate) client_ip: String,
    pub(crate) user_agent: &'static str,
    pub(crate) currency: &'static str,
    pub(crate) order: String,
    pub(crate) product: String,
    pub(crate) query: &'static str,
}

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile",
    "ShopApp/7.4.1 (iOS 18.6; iPhone16,2)",
    "ShopApp/7.3.0 (Android 14; SM-S921B)",
];

const QUERIES: [&str; 12] = [
    "desk lamp",
    "running shoes",
    "usb c cable",
    "wool socks",
    "espresso cups",
    "rain jacket",
    "board game",
    "plant pot",
    "headphones",
    "bike light",
    "water bottle",
    "birthday card",
];

const CURRENCIES: [&str; 5] = ["EUR", "EUR", "USD", "GBP", "CHF"];

impl Visit {
    /// Draws a visit. Users come back: a tenth of the 100,000 users makes most of the visits.
    pub(crate) fn draw(rng: &mut StdRng, journey: &'static str) -> Self {
        let users = if rng.random::<f64>() < 0.8 { 10_000 } else { 100_000 };
        let user: u32 = rng.random_range(0..users);
        Self {
            journey,
            user: format!("usr_{:016x}", xxh3_64(&user.to_le_bytes())),
            session: uuid(&rng.next_u64().to_string()),
            client_ip: format!("{}.{}.{}.{}", 80 + user % 40, user / 256 % 256, user % 256, rng.random_range(1..255)),
            user_agent: pick(rng, &AGENTS),
            currency: pick(rng, &CURRENCIES),
            order: format!("o-{:010}", rng.random_range(0..10_000_000_000_u64)),
            product: format!("SKU{:05}", rng.random_range(0..2_000)),
            query: pick(rng, &QUERIES),
        }
    }

    /// The route with its placeholders filled in.
    pub(crate) fn path(&self, route: &str) -> String {
        route.replace("{id}", &self.product).replace("{order}", &self.order)
    }
}

fn pick(rng: &mut StdRng, from: &[&'static str]) -> &'static str {
    from.get(rng.random_range(0..from.len())).copied().unwrap_or_default()
}
