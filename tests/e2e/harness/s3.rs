//! An S3-compatible store of objects in this process: a map behind HTTP, with what the server under test asks of one. Signatures
//! are not looked at. It can be told to ignore conditions, as some stores do.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_NONE_MATCH, LAST_MODIFIED, RANGE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::oneshot;

/// Objects on a page of a list: few, so that lists have several.
const PAGE: usize = 7;
const BUCKET: &str = "bucket";
const SOME_TIME: &str = "2026-11-23T00:00:00.000Z";
const SOME_TIME_IN_HEADERS: &str = "Mon, 23 Nov 2026 00:00:00 GMT";

type Answer = Response<Full<Bytes>>;

/// The store; its thread ends when this is dropped.
pub(crate) struct S3 {
    shared: Arc<Shared>,
    at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Bytes>>,
    uploads: Mutex<BTreeMap<String, BTreeMap<usize, Bytes>>>,
    ignores_conditions: AtomicBool,
    uploads_begun: AtomicU64,
    pages: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl S3 {
    /// A store on a free port.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let (told, at) = std::sync::mpsc::sync_channel(1);
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { shared, at: at.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    /// Takes every put from now on, also on the condition that there is no such object.
    pub(crate) fn ignore_conditions(&self) {
        self.shared.ignores_conditions.store(true, Ordering::SeqCst);
    }

    /// Keys of `[storage]` for a table in this store.
    pub(crate) fn config(&self) -> String {
        format!(
            "object_store = \"s3://{BUCKET}/team/traces\"\nobject_endpoint = \"http://{}\"\nobject_allow_http = true\n",
            self.at
        )
    }

    /// What the server's environment needs.
    pub(crate) fn environment() -> Vec<(String, String)> {
        let pairs = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("NO_PROXY", "127.0.0.1")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Keys below a part of the prefix.
    pub(crate) fn keys(&self, below: &str) -> Vec<String> {
        let prefix = format!("team/traces/{below}");
        lock(&self.shared.objects).keys().filter(|key| key.starts_with(&prefix)).cloned().collect()
    }

    /// Uploads in parts that were begun, and pages of lists that were given.
    pub(crate) fn uploads_and_pages(&self) -> (u64, u64) {
        (self.shared.uploads_begun.load(Ordering::SeqCst), self.shared.pages.load(Ordering::SeqCst))
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            });
            // A client that goes away is no matter.
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await.ok();
        });
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

fn error(status: StatusCode, code: &str) -> Answer {
    plain(status, format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"))
}

fn tagged(status: StatusCode, bytes: &[u8], body: impl Into<Bytes>) -> Answer {
    let tag = format!("\"{:x}\"", xxhash_rust::xxh3::xxh3_64(bytes));
    let answer = Response::builder().status(status).header(ETAG, tag).header(LAST_MODIFIED, SOME_TIME_IN_HEADERS);
    answer.body(Full::new(body.into())).unwrap()
}

/// The pairs of a query string.
fn pairs(query: &str) -> BTreeMap<String, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(name), decoded(value))
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap()
}

/// What stands between `<name>` and `</name>`, each time.
fn tags<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(open.as_str())
        .skip(1)
        .filter_map(|part| part.split_once(close.as_str()).map(|(inner, _)| inner))
        .collect()
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return error(StatusCode::BAD_REQUEST, "IncompleteBody") };
        let body = body.to_bytes();
        let query = pairs(head.uri.query().unwrap_or_default());
        let path = decoded(head.uri.path());
        let Some(key) = path.strip_prefix('/').and_then(|path| path.strip_prefix(BUCKET)) else {
            return error(StatusCode::NOT_FOUND, "NoSuchBucket");
        };
        let key = key.trim_start_matches('/');
        match head.method {
            Method::GET if key.is_empty() => self.list(&query),
            Method::POST if key.is_empty() => self.delete_many(&body),
            Method::GET => self.get(key, &head.headers),
            Method::HEAD => self.get(key, &HeaderMap::new()),
            Method::PUT => self.put(key, &query, &head.headers, body),
            Method::POST => self.upload(key, &query),
            Method::DELETE => {
                match query.get("uploadId") {
                    Some(upload) => drop(lock(&self.uploads).remove(upload)),
                    None => drop(lock(&self.objects).remove(key)),
                }
                plain(StatusCode::NO_CONTENT, "")
            }
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn get(&self, key: &str, headers: &HeaderMap) -> Answer {
        let Some(bytes) = lock(&self.objects).get(key).cloned() else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
        let Some((from, to)) = range else {
            return tagged(StatusCode::OK, &bytes, bytes.clone());
        };
        let (from, to) = match (from.parse::<usize>(), to.parse::<usize>()) {
            (Ok(from), Ok(to)) => (from, (to + 1).min(bytes.len())),
            (Ok(from), Err(_)) => (from, bytes.len()),
            (Err(_), Ok(last)) => (bytes.len().saturating_sub(last), bytes.len()),
            (Err(_), Err(_)) => return error(StatusCode::BAD_REQUEST, "InvalidArgument"),
        };
        if from >= to {
            return error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
        }
        let mut answer = tagged(StatusCode::PARTIAL_CONTENT, &bytes, bytes.slice(from..to));
        let range = format!("bytes {from}-{}/{}", to - 1, bytes.len());
        answer.headers_mut().insert(CONTENT_RANGE, range.parse().unwrap());
        answer
    }

    fn put(&self, key: &str, query: &BTreeMap<String, String>, headers: &HeaderMap, body: Bytes) -> Answer {
        if let (Some(upload), Some(part)) = (query.get("uploadId"), query.get("partNumber")) {
            let answer = tagged(StatusCode::OK, &body, "");
            let mut uploads = lock(&self.uploads);
            let Some(parts) = uploads.get_mut(upload) else {
                return error(StatusCode::NOT_FOUND, "NoSuchUpload");
            };
            parts.insert(part.parse().unwrap(), body);
            return answer;
        }
        let mut objects = lock(&self.objects);
        if let Some(from) = headers.get("x-amz-copy-source") {
            let from = decoded(from.to_str().unwrap());
            let from = from.trim_start_matches('/').strip_prefix(BUCKET).unwrap().trim_start_matches('/');
            let Some(bytes) = objects.get(from).cloned() else {
                return error(StatusCode::NOT_FOUND, "NoSuchKey");
            };
            objects.insert(key.to_owned(), bytes);
            let time = SOME_TIME;
            let done =
                format!("<CopyObjectResult><LastModified>{time}</LastModified><ETag>x</ETag></CopyObjectResult>");
            return plain(StatusCode::OK, done);
        }
        let is_conditional = headers.get(IF_NONE_MATCH).is_some_and(|tag| tag == "*");
        if is_conditional && objects.contains_key(key) && !self.ignores_conditions.load(Ordering::SeqCst) {
            return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let answer = tagged(StatusCode::OK, &body, "");
        objects.insert(key.to_owned(), body);
        answer
    }

    /// Begins an upload in parts, or puts its parts together.
    fn upload(&self, key: &str, query: &BTreeMap<String, String>) -> Answer {
        let Some(upload) = query.get("uploadId") else {
            let number = self.uploads_begun.fetch_add(1, Ordering::SeqCst);
            let upload = format!("upload-{number}");
            lock(&self.uploads).insert(upload.clone(), BTreeMap::new());
            let begun =
                format!("<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>");
            return plain(StatusCode::OK, begun);
        };
        let Some(parts) = lock(&self.uploads).remove(upload) else {
            return error(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        let bytes: Vec<u8> = parts.into_values().flatten().collect();
        lock(&self.objects).insert(key.to_owned(), bytes.into());
        let done = "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>";
        plain(StatusCode::OK, done)
    }

    fn delete_many(&self, body: &Bytes) -> Answer {
        let body = String::from_utf8_lossy(body);
        let mut objects = lock(&self.objects);
        let deleted = tags(&body, "Key").into_iter().map(|key| {
            objects.remove(key);
            format!("<Deleted><Key>{key}</Key></Deleted>")
        });
        let deleted: String = deleted.collect();
        plain(StatusCode::OK, format!("<DeleteResult>{deleted}</DeleteResult>"))
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        self.pages.fetch_add(1, Ordering::SeqCst);
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        let (prefix, delimiter) = (text("prefix"), text("delimiter"));
        let after =
            if text("continuation-token").is_empty() { text("start-after") } else { text("continuation-token") };
        let objects = lock(&self.objects);
        let (mut entries, mut last, mut is_truncated) = (Vec::<String>::new(), String::new(), false);
        for (key, bytes) in objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after) {
            let folder = key[prefix.len()..].split_once(delimiter).filter(|_| !delimiter.is_empty());
            let entry = match folder {
                Some((folder, _)) => {
                    format!("<CommonPrefixes><Prefix>{prefix}{folder}{delimiter}</Prefix></CommonPrefixes>")
                }
                None => format!(
                    "<Contents><Key>{key}</Key><LastModified>{SOME_TIME}</LastModified><ETag>x</ETag><Size>{}</Size></Contents>",
                    bytes.len()
                ),
            };
            if entries.last() != Some(&entry) {
                if entries.len() == PAGE {
                    is_truncated = true;
                    break;
                }
                entries.push(entry);
            }
            last.clone_from(key);
        }
        let next =
            if is_truncated { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
        let entries = entries.concat();
        let all =
            format!("<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{next}{entries}</ListBucketResult>");
        plain(StatusCode::OK, all)
    }
}
