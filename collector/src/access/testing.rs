//! Files that a test holds, and the certificates of `tests/fixtures/tls`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::FileReader;
use crate::AccessConfig;

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestFiles(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl TestFiles {
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        self.0.lock().unwrap().insert(name.into(), content.to_vec());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(Path::new(name));
    }

    pub(crate) fn reader(&self) -> FileReader {
        let files = self.clone();
        Arc::new(move |path| {
            let found = files.0.lock().unwrap().get(path).cloned();
            found.ok_or_else(|| format!("there is no {}", path.display()))
        })
    }

    /// Puts a certificate of the test authority and its key at `cert` and `key`.
    pub(crate) fn put_pair(&self, name: &str) {
        self.put("key", &pem(&format!("{name}.key")));
        self.put("cert", &pem(&format!("{name}.pem")));
    }
}

/// A file of `tests/fixtures/tls`.
pub(crate) fn pem(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tls").join(name)).unwrap()
}

/// The settings for `cert` and `key`.
pub(crate) fn with_tls() -> AccessConfig {
    AccessConfig { tls_cert_file: Some("cert".into()), tls_key_file: Some("key".into()), ..AccessConfig::default() }
}
