//! The OTLP protocol: decoding, encoding, transports, statuses.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod body;
pub(crate) mod cors;
pub mod decode;
pub mod encode;
pub(crate) mod export;
pub(crate) mod grpc;
mod health;
pub(crate) mod http;
pub(crate) mod inflate;
pub(crate) mod status;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// Body of an answer.
pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, Infallible>;

/// An answer, on either transport.
pub(crate) type Reply = ::http::Response<ReplyBody>;
