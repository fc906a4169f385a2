//! Opening the store that the configuration describes: in its folder, or with the table in a store of objects.

use std::sync::Arc;

use daytwo_collector::OtlpReplay;
use daytwo_storage::{Bucket, Clock, Store};

use super::config::Config;
use super::{Failure, environment};

/// The store of objects that the table is in, if it is in one.
fn bucket(config: &Config) -> Result<Option<Bucket>, Failure> {
    let credentials = environment().into_iter().filter(|(name, _)| name.starts_with("AWS_")).collect();
    let access = config.storage.object_access(credentials);
    Ok(access.map(|access| Bucket::s3(&access)).transpose()?)
}

/// For a server.
pub(super) async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Store>, Failure> {
    let (settings, replay) = (config.storage.settings(), Arc::new(OtlpReplay::seeded(rand::random())));
    Ok(match bucket(config)? {
        None => Store::open(settings, clock, replay).await?,
        Some(bucket) => Store::open_in(&bucket, settings, clock, replay).await?,
    })
}

/// For a command that only looks.
pub(super) async fn open_read_only(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Store>, Failure> {
    let (settings, replay) = (config.storage.settings(), Arc::new(OtlpReplay::seeded(rand::random())));
    Ok(match bucket(config)? {
        None => Store::open_read_only(settings, clock, replay).await?,
        Some(bucket) => Store::open_read_only_in(&bucket, settings, clock, replay).await?,
    })
}
