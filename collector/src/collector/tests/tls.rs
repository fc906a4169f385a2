//! Handshakes over real sockets, by a rustls client.

use std::io;

use ::http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, crypto};

use super::*;
use crate::access::testing::{pem, with_tls};

/// What a client shows and speaks; it trusts the test authority.
#[derive(Debug, Clone, Copy)]
struct TlsClient<'t> {
    version: &'static SupportedProtocolVersion,
    speaks: &'t str,
    identity: Option<&'t str>,
}

const GRPC_CLIENT: TlsClient<'static> = TlsClient { version: &TLS13, speaks: "h2", identity: None };
const HTTP_CLIENT: TlsClient<'static> = TlsClient { version: &TLS13, speaks: "http/1.1", identity: None };

impl TlsClient<'_> {
    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem("authority.pem")).unwrap()).unwrap();
        let provider = Arc::new(crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[self.version]).unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = match self.identity {
            None => config.with_no_client_auth(),
            Some(name) => {
                let chain = vec![CertificateDer::from_pem_slice(&pem(&format!("{name}.pem"))).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(&pem(&format!("{name}.key"))).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        if !self.speaks.is_empty() {
            config.alpn_protocols = vec![self.speaks.as_bytes().to_vec()];
        }
        config
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(self.config())).connect(name, stream).await
    }

    /// Exports one span over gRPC.
    async fn export_grpc(&self, running: &Running, id: u64) -> io::Result<Answer> {
        let message = request(vec![span(id)]).encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[0], &length[..], &message[..]].concat();
        let call =
            Request::post(format!("https://localhost{}", grpc::EXPORT)).header("content-type", "application/grpc");
        send(self.connect(running.grpc).await?, call.body(body).unwrap()).await
    }

    /// Exports one span over HTTP.
    async fn export_http(&self, running: &Running, id: u64) -> io::Result<Answer> {
        let body = request(vec![span(id)]).encode_to_vec();
        let call = Request::post("https://localhost/v1/traces").header("content-type", http::PROTOBUF);
        send(self.connect(running.http).await?, call.body(body).unwrap()).await
    }

    /// The certificate that the server shows.
    async fn shown(&self, addr: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(addr).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

/// What came back, and over what.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    grpc_status: Option<String>,
    version: Option<ProtocolVersion>,
    spoke_h2: bool,
}

async fn send(stream: TlsStream<TcpStream>, request: Request<Vec<u8>>) -> io::Result<Answer> {
    let session = stream.get_ref().1;
    let (version, spoke_h2) = (session.protocol_version(), session.alpn_protocol() == Some(&b"h2"[..]));
    let (io, request) = (TokioIo::new(stream), request.map(|body| Full::new(Bytes::from(body))));
    let response: ::http::Response<Incoming> = if spoke_h2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(io::Error::other)?
    } else {
        let (mut sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(io::Error::other)?
    };
    let status = response.status();
    let trailers = response.into_body().collect().await.map_err(io::Error::other)?.trailers().cloned();
    let grpc_status = trailers.and_then(|trailers| Some(trailers.get("grpc-status")?.to_str().unwrap().to_owned()));
    Ok(Answer { status, grpc_status, version, spoke_h2 })
}

/// A server with the pair `server` of the test authority; the files are given back, to be changed.
async fn start_tls(config: CollectorConfig, access: AccessConfig) -> (Running, TestFiles) {
    let files = TestFiles::default();
    files.put_pair("server");
    files.put("ca", &pem("authority.pem"));
    let access = Access::open(&access, &files.reader()).unwrap();
    (start_with(config, access).await, files)
}

/// A connection that has begun a handshake and leaves it at that.
async fn begin(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    stream
}

/// Everything until the server closes the connection, in whichever way.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
    read.expect("closed").unwrap_or_default();
    rest
}

/// Scenario: clients of TLS 1.2 and 1.3 export over gRPC, HTTP/2 and HTTP/1.1, agreed on by ALPN or (HTTP/1.1) not at all.
/// Guarantees: each is answered in the version and protocol that it wanted, and its span is stored.
#[tokio::test]
async fn both_receivers_speak_tls() {
    let (running, _files) = start_tls(CollectorConfig::default(), with_tls()).await;
    let versions = [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)];
    let mut id = 0;
    for (version, expected) in versions {
        id += 1;
        let answer = TlsClient { version, ..GRPC_CLIENT }.export_grpc(&running, id).await.unwrap();
        let grpc_status = Some("0".to_owned());
        assert_eq!(answer, Answer { status: StatusCode::OK, grpc_status, version: Some(expected), spoke_h2: true });
        for speaks in ["h2", "http/1.1", ""] {
            id += 1;
            let answer = TlsClient { version, speaks, ..HTTP_CLIENT }.export_http(&running, id).await.unwrap();
            let spoke_h2 = speaks == "h2";
            assert_eq!(answer, Answer { status: StatusCode::OK, grpc_status: None, version: Some(expected), spoke_h2 });
        }
    }
    assert_eq!((running.shelf.spans(), running.telemetry.snapshot().handshakes_failed), (8, 0));
}

/// Scenario: a client without TLS, one that speaks only HTTP/1.1 to gRPC, and one that says nothing after its handshake.
/// Guarantees: the first two get no answer and are counted; the last is closed within the read timeout.
#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let (running, _files) = start_tls(CollectorConfig::default(), with_tls()).await;
    for addr in [running.grpc, running.http] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert!(!rest(stream).await.starts_with(b"HTTP"));
    }
    eventually("both are counted", || running.telemetry.snapshot().handshakes_failed == 2).await;
    assert!(HTTP_CLIENT.export_grpc(&running, 1).await.is_err());
    eventually("the third is counted", || running.telemetry.snapshot().handshakes_failed == 3).await;
    assert_eq!(running.shelf.spans(), 0);

    let hasty = CollectorConfig { read_timeout: Duration::from_secs(1), ..CollectorConfig::default() };
    let (running, _files) = start_tls(hasty, with_tls()).await;
    let mut silent = Err(io::ErrorKind::NotConnected.into());
    for _ in 0..100 {
        silent = HTTP_CLIENT.connect(running.http).await;
        if silent.is_ok() {
            break;
        }
    }
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(60), silent.unwrap().read_to_end(&mut nothing)).await;
    assert!(closed.is_ok() && nothing.is_empty());
}

/// Scenario: a server that wants certificates; clients with one of its authority, with one of another, with none.
/// Guarantees: the first exports on both receivers; the others do not get past the handshake, and are counted.
#[tokio::test]
async fn only_clients_of_the_authority_come_in() {
    let access = AccessConfig { tls_client_ca_file: Some("ca".into()), ..with_tls() };
    let (running, _files) = start_tls(CollectorConfig::default(), access).await;
    let mut id = 0;
    for version in [&TLS12, &TLS13] {
        for (identity, comes_in) in [(Some("client"), true), (Some("stranger"), false), (None, false)] {
            id += 2;
            let client = TlsClient { version, identity, ..GRPC_CLIENT };
            assert_eq!(client.export_grpc(&running, id).await.is_ok(), comes_in, "{client:?}");
            assert_eq!(client.export_http(&running, id + 1).await.is_ok(), comes_in, "{client:?}");
        }
    }
    eventually("all failures are counted", || running.telemetry.snapshot().handshakes_failed == 8).await;
    assert_eq!(running.shelf.spans(), 4);
}

/// Scenario: clients that begin a handshake and do not go on: beside one that does, as many as there may be connections, and
/// until the read timeout.
/// Guarantees: they take their connection and nothing else; past the limit further ones are closed at once; in time they are too.
#[tokio::test]
async fn unfinished_handshakes_are_bounded() {
    let patient = CollectorConfig { read_timeout: Duration::from_secs(3600), ..CollectorConfig::default() };
    let (running, _files) = start_tls(patient.clone(), with_tls()).await;
    let _stalled = (begin(running.grpc).await, begin(running.http).await);
    GRPC_CLIENT.export_grpc(&running, 1).await.unwrap();
    HTTP_CLIENT.export_http(&running, 2).await.unwrap();

    let (running, _files) = start_tls(CollectorConfig { connections_max: 1, ..patient }, with_tls()).await;
    let _stalled = begin(running.http).await;
    assert_eq!(rest(TcpStream::connect(running.http).await.unwrap()).await, b"");
    assert_eq!(running.telemetry.snapshot().connections_closed["too_many"], 1);

    let hasty = CollectorConfig { read_timeout: Duration::from_millis(100), ..CollectorConfig::default() };
    let (running, _files) = start_tls(hasty, with_tls()).await;
    assert_eq!(rest(begin(running.http).await).await, b"");
    eventually("it is counted", || running.telemetry.snapshot().handshakes_failed == 1).await;
}

/// Scenario: certificate and key are exchanged under a running server.
/// Guarantees: new connections get the new certificate, without a restart.
#[tokio::test]
async fn a_new_certificate_is_taken_up() {
    let access = AccessConfig { interval: Duration::from_millis(10), ..with_tls() };
    let (running, files) = start_tls(CollectorConfig::default(), access).await;
    let [old, new] = ["server.pem", "renewed.pem"].map(|name| CertificateDer::from_pem_slice(&pem(name)).unwrap());
    for addr in [running.grpc, running.http] {
        assert_eq!(GRPC_CLIENT.shown(addr).await, old);
    }
    files.put_pair("renewed");
    for addr in [running.grpc, running.http] {
        for round in 0.. {
            let shown = GRPC_CLIENT.shown(addr).await;
            if shown == new {
                break;
            }
            assert!(shown == old && round < 1000, "the new certificate is not taken up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
