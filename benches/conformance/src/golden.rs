//! Golden inputs: requests made from a seed, in every transport, encoding and compression, each with what the model
//! says of it.

mod families;
mod random;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::model::{self, Request};
use crate::transport::{Compression, Transport};
use families::{FAMILIES, Family};
use random::Generator;

/// What to generate.
#[derive(Debug, Clone)]
pub struct GoldenConfig {
    /// What the inputs are made from; the same seed gives the same inputs, but for their ids.
    pub seed: u64,
    /// Goes into all ids, so that two runs against one server do not meet.
    pub run: u64,
    /// Inputs of each family, transport and compression.
    pub each: u32,
    /// Compressions to use.
    pub compressions: Vec<Compression>,
}

/// One input with what it means.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) family: &'static Family,
    pub(crate) transport: Transport,
    pub(crate) compression: Compression,
    pub(crate) request: Request,
    /// The request in its encoding, not compressed.
    pub(crate) body: Vec<u8>,
}

/// The bodies of all inputs in a fixed order, not compressed, and whether each is JSON: for fuzzers to begin with.
pub fn golden_bodies(config: &GoldenConfig) -> Vec<(bool, Vec<u8>)> {
    let config = GoldenConfig { compressions: vec![Compression::None], ..config.clone() };
    inputs(&config).map(|input| (input.transport == Transport::HttpJson, input.body)).collect()
}

/// All inputs, in a fixed order.
pub(crate) fn inputs(config: &GoldenConfig) -> impl Iterator<Item = Input> {
    let combinations = FAMILIES.iter().flat_map(move |family| {
        let transports = Transport::ALL.into_iter().filter(move |transport| family.encodings.has(*transport));
        transports.flat_map(move |transport| {
            let compressions = config.compressions.iter().copied();
            compressions.flat_map(move |compression| (0..config.each).map(move |_| (family, transport, compression)))
        })
    });
    (0_u32..).zip(combinations).map(|(number, (family, transport, compression))| {
        let rng = StdRng::seed_from_u64(config.seed ^ u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut generator = Generator::new(rng, config.run, number, transport);
        let request = (family.make)(&mut generator);
        let body = match transport {
            Transport::HttpJson => model::json::write(&request, (family.json)(&mut generator)),
            Transport::Grpc | Transport::HttpProtobuf => {
                model::protobuf::write(&request, (family.protobuf)(&mut generator))
            }
        };
        Input { family, transport, compression, request, body }
    })
}

#[cfg(test)]
mod tests;
