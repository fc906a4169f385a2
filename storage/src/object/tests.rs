//! The store's own promises, over a network that loses answers.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::{Bucket, Remote, S3Access, Sidecars, probe};
use crate::StorageError;
use crate::fs::Fs;
use crate::testing::{Chaos, ChaosStore};

fn remote(chaos: &Arc<Chaos>) -> Arc<Remote> {
    let bucket = Bucket::new(ChaosStore::new(chaos), "a/b", "s3://x/a/b").unwrap().with_pause(Duration::ZERO);
    Arc::new(Remote::new(&bucket, Handle::current()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Scenario: stores that honour conditions, behind networks that lose from no to a third of the requests, and one that ignores conditions.
/// Guarantees: the first are taken whatever the network does, or the network is blamed; the last is refused with its name and the reason.
#[tokio::test]
async fn a_store_without_conditional_puts_is_refused() {
    let mut taken = 0;
    for seed in 0..200 {
        let chaos = Chaos::new(Arc::new(InMemory::new()), seed, seed % 34);
        match probe(&remote(&chaos)).await {
            Ok(()) => taken += 1,
            Err(StorageError::Io { .. }) => {}
            Err(error) => panic!("SEED={seed}: {error}"),
        }
    }
    assert!(taken > 150, "{taken}");
    let chaos = Chaos::new(Arc::new(InMemory::new()), 1, 0);
    chaos.ignore_conditions();
    let refusal = probe(&remote(&chaos)).await.unwrap_err();
    assert!(matches!(refusal, StorageError::Unfit { .. }) && !refusal.is_retryable());
    let text = refusal.to_string();
    assert!(text.contains("s3://x/a/b") && text.contains("If-None-Match"), "{text}");
}

/// Scenario: objects are written, read whole and in ranges, listed and removed while a fifth of the requests go wrong, bodies cut short included.
/// Guarantees: what is given back is what was written, or an error; the counters count what was asked.
#[tokio::test]
async fn answers_are_whole_or_errors() {
    let chaos = Chaos::new(Arc::new(InMemory::new()), 7, 20);
    let store = remote(&chaos);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let done = blocking(move || {
        let mut read = 0;
        for number in 0..40 {
            let path = format!("files/{number}");
            if store.put(&path, bytes.clone()).is_err() {
                continue;
            }
            if let Ok(found) = store.get(&path) {
                assert!(found == bytes);
                read += 1;
            }
            let ranges = [2_500_000..2_500_010, 5..9, 100..1000];
            if let Ok((found, requests, moved)) = store.ranges(&path, &ranges) {
                for (found, range) in found.iter().zip(ranges) {
                    assert!(
                        found == &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
                    );
                }
                assert_eq!((requests, moved), (2, 995 + 10));
            }
        }
        assert!(
            store.range("files/0", 2_999_990..3_000_010).is_err(),
            "a range beyond the end is not what was asked for"
        );
        assert!(matches!(store.find("none"), Ok(None) | Err(_)));
        (read, store.traffic())
    });
    let (read, traffic) = done.await;
    assert!(read > 30, "{read}");
    assert!(traffic.failures > 0 && traffic.bytes_written >= 30 * 3_000_000 && traffic.gets > 60, "{traffic:?}");
}

/// Scenario: a file of 20 MiB and one of a few bytes go up.
/// Guarantees: both lie below the prefix as they are, the large one in parts.
#[tokio::test]
async fn large_files_go_in_parts() {
    let memory = Arc::new(InMemory::new());
    let chaos = Chaos::new(Arc::clone(&memory) as _, 3, 0);
    let store = remote(&chaos);
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..20_u32 << 20).map(|number| number.to_le_bytes()[1]).collect();
    for (name, bytes) in [("large", large), ("small", b"few".to_vec())] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let (store, name) = (Arc::clone(&store), name.to_owned());
        let size = bytes.len() as u64;
        blocking(move || store.upload(&name, &std::fs::File::open(path).unwrap(), size).unwrap()).await;
    }
    assert_eq!(memory.get(&Path::from("a/b/small")).await.unwrap().bytes().await.unwrap(), b"few".as_slice());
    let found = memory.get(&Path::from("a/b/large")).await.unwrap().bytes().await.unwrap();
    assert!(found.iter().enumerate().all(|(at, byte)| *byte == u32::try_from(at).unwrap().to_le_bytes()[1]));
    assert_eq!((found.len(), store.traffic().puts), (20 << 20, 1 + 3 + 1));
}

/// Scenario: thirty sidecars of 1 KB through a cache of 10 KB, read again and again, the cache's folder emptied meanwhile, opened anew.
/// Guarantees: the copies stay within the limit, each read gives the right bytes, and what is kept costs no request.
#[tokio::test]
async fn copies_of_sidecars_stay_within_their_limit() {
    let chaos = Chaos::new(Arc::new(InMemory::new()), 3, 0);
    let store = remote(&chaos);
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_owned();
    blocking(move || {
        let name = |number: u8| format!("2026-11-23T0{}/{number}.idx", number % 3);
        for number in 0..30 {
            store.put(&format!("index/{}", name(number)), vec![number; 1000]).unwrap();
        }
        let fs = Fs::default();
        let open = || Sidecars::open(&fs, Arc::clone(&store), &data_dir, 10_000).unwrap();
        let on_disk = || -> u64 {
            let hours = std::fs::read_dir(data_dir.join("cache")).into_iter().flatten().flatten();
            let files = hours.flat_map(|hour| std::fs::read_dir(hour.path()).unwrap().flatten());
            files.map(|file| file.metadata().unwrap().len()).sum()
        };
        let cache = open();
        for round in 0..3 {
            for number in 0..30 {
                assert_eq!(cache.read(&name(number), 990, 10).unwrap(), vec![number; 10]);
                assert_eq!(cache.size(&name(number)).unwrap(), 1000);
                assert!(on_disk() <= 10_000, "round {round}");
            }
        }
        let before = store.traffic().gets;
        (25..30).for_each(|number| assert_eq!(cache.read(&name(number), 0, 1).unwrap(), [number]));
        assert_eq!(store.traffic().gets, before);
        for hour in std::fs::read_dir(data_dir.join("cache")).unwrap().flatten() {
            std::fs::remove_dir_all(hour.path()).unwrap();
        }
        assert_eq!(cache.read(&name(29), 0, 1).unwrap(), [29]);
        assert_eq!(store.traffic().gets, before + 1);
        let again = open();
        assert_eq!((again.read(&name(29), 0, 1).unwrap(), store.traffic().gets), (vec![29], before + 1));
        assert!(again.read("2026-11-23T00/none.idx", 0, 1).is_err());
        again.remove(&name(29)).unwrap();
        assert!(again.read(&name(29), 0, 1).is_err());
    })
    .await;
}

/// Scenario: sidecars with an end of a data file behind them, with an empty one, with a damaged one, and of a version that kept none.
/// Guarantees: the sidecar has its own bytes only, an end that is whole is given back, and any other is none; one request for both.
#[tokio::test]
async fn ends_are_kept_behind_sidecars() {
    let store = remote(&Chaos::new(Arc::new(InMemory::new()), 3, 0));
    let folder = tempfile::tempdir().unwrap();
    blocking(move || {
        let with = |end: &[u8]| {
            let mut bytes = b"a sidecar".to_vec();
            super::write_end(end, &mut bytes).unwrap();
            bytes
        };
        let mut damaged = with(b"an end");
        damaged[10] ^= 1;
        let mut too_long = with(b"an end");
        let at = too_long.len() - 16;
        too_long[at] = 100;
        let cases = [
            ("whole", with(b"an end"), 9, Some(&b"an end"[..])),
            ("empty", with(b""), 9, None),
            ("damaged", damaged, 9, None),
            ("too-long", too_long, 39, None),
            ("earlier", b"a sidecar".to_vec(), 9, None),
            ("longer-earlier", vec![7; 100], 100, None),
        ];
        let cache = Sidecars::open(&Fs::default(), Arc::clone(&store), folder.path(), 10_000).unwrap();
        for (name, bytes, size, end) in cases {
            store.put(&format!("index/{name}"), bytes).unwrap();
            let before = store.traffic().gets;
            assert_eq!(cache.size(name).unwrap(), size, "{name}");
            assert_eq!(cache.kept_end(name).unwrap().as_deref(), end, "{name}");
            assert_eq!(store.traffic().gets, before + 1, "{name}");
        }
    })
    .await;
}

/// Scenario: addresses of stores, right and wrong.
/// Guarantees: bucket and prefix are found, and what could leave the prefix is refused; no secret shows in debug output.
#[test]
fn an_address_has_a_bucket_and_a_prefix() {
    assert_eq!(S3Access::parts("s3://bucket"), Some(("bucket", "")));
    assert_eq!(S3Access::parts("s3://bucket/"), Some(("bucket", "")));
    assert_eq!(S3Access::parts("s3://b.c-d/one/two/"), Some(("b.c-d", "one/two")));
    for wrong in ["", "bucket", "s3://", "s3:///x", "https://bucket/x", "s3://Bucket/x", "s3://b/../x", "s3://b//x"] {
        assert_eq!(S3Access::parts(wrong), None, "{wrong}");
    }
    let secret = ("AWS_SECRET_ACCESS_KEY".to_owned(), "hush".to_owned());
    let environment = vec![("AWS_ACCESS_KEY_ID".to_owned(), "id".to_owned()), secret];
    let access = S3Access { url: "s3://b/x".to_owned(), environment, ..S3Access::default() };
    assert!(!format!("{access:?}").contains("hush"));
    assert!(Bucket::s3(&access).is_ok());
    assert!(matches!(Bucket::s3(&S3Access { url: "x".to_owned(), ..access }), Err(StorageError::Unfit { .. })));
}
