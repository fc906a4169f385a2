//! How to reach an S3-compatible store: plain values. Credentials are given as the environment's pairs, which only the binary
//! reads.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::Bucket;
use crate::{Result, StorageError};

const SCHEME: &str = "s3://";
/// One request, its body included; 8 MiB at 0.3 MB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Repetitions by the client itself, for answers that say "slow down"; lost answers are repeated by our own layer.
const CLIENT_RETRIES: usize = 2;
const CLIENT_RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the table is and how to get in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Access {
    /// `s3://bucket/prefix`.
    pub url: String,
    /// Address of a store other than Amazon's, as in `https://minio.example:9000`; empty for Amazon's.
    pub endpoint: String,
    /// Region; empty for `us-east-1`.
    pub region: String,
    /// Whether the endpoint may be spoken to without encryption.
    pub allow_http: bool,
    /// `AWS_…` pairs of the environment: keys, tokens, roles. Others are ignored.
    pub environment: Vec<(String, String)>,
}

impl std::fmt::Debug for S3Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the environment: it holds secrets.
        f.debug_struct("S3Access")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

impl S3Access {
    /// Bucket and prefix of an address like `s3://bucket/prefix`; none when it is not one.
    pub fn parts(url: &str) -> Option<(&str, &str)> {
        let rest = url.strip_prefix(SCHEME)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        let is_bucket = (1..=63).contains(&bucket.len()) && bucket.bytes().all(is_name);
        let prefix = prefix.trim_end_matches('/');
        let is_prefix = prefix.is_empty() || prefix.split('/').all(|part| !matches!(part, "" | "." | ".."));
        (is_bucket && is_prefix).then_some((bucket, prefix))
    }
}

impl Bucket {
    /// The table in an S3-compatible store.
    ///
    /// # Errors
    /// [`StorageError::Unfit`] when the address or the access makes no sense. Nothing is asked of the store yet.
    pub fn s3(access: &S3Access) -> Result<Self> {
        let unfit = |reason: String| StorageError::Unfit { store: access.url.clone(), reason };
        let (bucket, prefix) = S3Access::parts(&access.url)
            .ok_or_else(|| unfit("it is not an address like s3://bucket/prefix".to_owned()))?;
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &access.environment {
            let key = name.starts_with("AWS_").then(|| name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>());
            if let Some(Ok(key)) = key {
                builder = builder.with_config(key, value);
            }
        }
        if !access.region.is_empty() {
            builder = builder.with_region(&access.region);
        }
        if !access.endpoint.is_empty() {
            builder = builder.with_endpoint(&access.endpoint);
        }
        let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(access.allow_http);
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: CLIENT_RETRIES,
            retry_timeout: CLIENT_RETRY_TIMEOUT,
        };
        // What the environment may say of these is not for it to say: commits depend on them.
        let builder = builder
            .with_bucket_name(bucket)
            .with_client_options(client)
            .with_retry(retry)
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        let store = builder.build().map_err(|error| unfit(error.to_string()))?;
        Self::new(Arc::new(store), prefix, &access.url)
    }
}
