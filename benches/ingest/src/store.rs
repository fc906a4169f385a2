//! The stage with the real store, in this process.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use daytwo_collector::OtlpReplay;
use daytwo_storage::testing::ManualClock;
use daytwo_storage::{Frame, PayloadCompression, PayloadFormat, StorageConfig, StorageError, Store};
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::xxh3_128;

use crate::stage::{BenchError, Done, RECEIVED, count, to_arrow};

/// Requests under way at once, so that one fdatasync covers several, as it does for a server's clients.
const UNDER_WAY: usize = 16;

pub(crate) fn run(bodies: &[Bytes]) -> Result<Done, BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| BenchError::Io { action: "start a runtime", source })?;
    runtime.block_on(ingest(bodies))
}

async fn ingest(bodies: &[Bytes]) -> Result<Done, BenchError> {
    let folder = tempfile::tempdir().map_err(|source| BenchError::Io { action: "make a folder", source })?;
    let config = StorageConfig { data_dir: folder.path().join("data"), ..StorageConfig::default() };
    let store = Store::open(config, Arc::new(ManualClock::at(RECEIVED)), Arc::new(OtlpReplay::default())).await?;
    let mut done = Done { spans: append_all(&store, bodies).await?, ..Done::default() };
    store.flush().await?;
    done.written_bytes = store.status().file_bytes;
    store.close().await?;
    Ok(done)
}

/// Makes requests durable, several at once; gives the number of their spans.
pub(crate) async fn append_all(store: &Arc<Store>, bodies: &[Bytes]) -> Result<u64, BenchError> {
    let mut spans = 0;
    let mut under_way: VecDeque<JoinHandle<Result<u64, BenchError>>> = VecDeque::new();
    for body in bodies {
        if under_way.len() == UNDER_WAY
            && let Some(oldest) = under_way.pop_front()
        {
            spans += oldest.await??;
        }
        under_way.push_back(tokio::spawn(append(Arc::clone(store), body.clone())));
    }
    for left in under_way {
        spans += left.await??;
    }
    Ok(spans)
}

/// Decodes a request and makes it durable, waiting for a flush while the buffer is full.
async fn append(store: Arc<Store>, body: Bytes) -> Result<u64, BenchError> {
    loop {
        let batch = to_arrow(&body)?;
        let spans = count(batch.len());
        match store.append(frame(&body), batch).await {
            Ok(_) => return Ok(spans),
            Err(StorageError::Full { .. }) => store.flush().await?,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The frame of a request in protobuf.
pub fn frame(body: &Bytes) -> Frame {
    Frame {
        payload: body.clone(),
        format: PayloadFormat::Protobuf,
        compression: PayloadCompression::None,
        request_hash: xxh3_128(body),
        received: RECEIVED,
        rejected: Vec::new(),
    }
}
