//! What is mutated: requests of the conformance suite, of the simulated shop, and a few by hand.

use daytwo_conformance::{GoldenConfig, golden_bodies};
use daytwo_traffic::shop::Export;
use daytwo_traffic::{Corpus as Traffic, CorpusConfig, Model, ModelConfig, encode, export};

use super::mutate::{Random, mutate};
use super::*;

/// Longer requests are left out: mutations of short ones reach as much, and more often.
const BYTES_MAX: usize = 8 << 10;

pub(super) struct Corpus {
    format: PayloadFormat,
    bodies: Vec<Vec<u8>>,
}

impl Corpus {
    pub(super) fn of(format: PayloadFormat) -> Self {
        let golden = golden_bodies(&GoldenConfig { seed: 7, run: 1, each: 8, compressions: vec![] });
        let wanted = |(is_json, body): (bool, Vec<u8>)| {
            (is_json == (format == PayloadFormat::Json) && body.len() <= BYTES_MAX).then_some(body)
        };
        let mut bodies: Vec<Vec<u8>> = golden.into_iter().filter_map(wanted).collect();
        assert!(bodies.len() > 100, "{} golden inputs", bodies.len());
        bodies.extend(traffic(format));
        Self { format, bodies }
    }

    pub(super) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        self.bodies.iter().map(Vec::as_slice)
    }

    /// One of them after a few mutations.
    pub(super) fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut body = random.pick::<Vec<u8>>(&self.bodies).clone();
        for _ in 0..=random.below(4) {
            let other = random.pick::<Vec<u8>>(&self.bodies);
            mutate(self.format, &mut body, other, random);
        }
        body
    }
}

/// Requests of a few spans each, as the shop's services send them.
fn traffic(format: PayloadFormat) -> Vec<Vec<u8>> {
    let model = Model::new(ModelConfig { seed: 7, ..ModelConfig::default() });
    let mut traffic = Traffic::new(&model, CorpusConfig { batch_spans: 3, ..CorpusConfig::default() });
    let export = if format == PayloadFormat::Json { Export::HttpJson } else { Export::Http };
    let spans = std::iter::from_fn(|| traffic.next_spans()).take(100);
    let request = |(pod, spans)| encode::protobuf(model.pods(), pod, spans);
    spans.filter_map(request).map(|request| export::prepare(export, &request.body).to_vec()).collect()
}
