use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::testing::{TestFiles, pem, with_tls};
use super::*;

fn with_tokens(names: &[&str]) -> AccessConfig {
    AccessConfig { bearer_token_files: names.iter().map(Into::into).collect(), ..AccessConfig::default() }
}

/// Scenario: each file missing, empty, of another kind or not fitting the other, and settings that contradict each other.
/// Guarantees: the error names setting, file and reason, and repeats nothing of a key or token.
#[test]
fn what_cannot_be_used_is_named() {
    let mutual = || AccessConfig { tls_client_ca_file: Some("ca".into()), ..with_tls() };
    let (torn, foreign) = (pem("server.pem"), pem("renewed.key"));
    let table: Vec<(AccessConfig, &str, &[u8], &str)> = vec![
        (with_tls(), "cert", b"", "collector.tls_cert_file cannot be used: cert holds no certificate in PEM"),
        (with_tls(), "cert", &torn[..90], "collector.tls_cert_file cannot be used: cert is no valid PEM"),
        (with_tls(), "key", b"", "collector.tls_key_file cannot be used: key holds no private key in PEM"),
        (
            with_tls(),
            "key",
            b"-----BEGIN PRIVATE KEYsecret",
            "collector.tls_key_file cannot be used: key holds no private",
        ),
        (with_tls(), "key", &foreign, "collector.tls_key_file cannot be used: key does not go with cert"),
        (mutual(), "ca", b"none", "collector.tls_client_ca_file cannot be used: ca holds no certificate"),
        (with_tokens(&["token"]), "token", b" \n", "collector.bearer_token_files cannot be used: token is empty"),
        (with_tokens(&["token"]), "token", b"two secrets", "token must hold one token"),
        (with_tokens(&["token"]), "token", &[b'x'; 4097], "token must hold one token"),
        (with_tokens(&["token"]), "token", "sécret".as_bytes(), "token must hold one token"),
        (with_tokens(&["gone"]), "token", b"x", "collector.bearer_token_files cannot be used: there is no gone"),
        (AccessConfig { tls_key_file: None, ..with_tls() }, "token", b"x", "set both or none"),
        (AccessConfig { tls_cert_file: None, ..with_tls() }, "token", b"x", "set both or none"),
        (
            AccessConfig { tls_client_ca_file: Some("ca".into()), ..AccessConfig::default() },
            "ca",
            b"x",
            "collector.tls_client_ca_file: needs collector.tls_cert_file",
        ),
        (with_tokens(&["token"; 17]), "token", b"x", "at most 16 files"),
    ];
    for (config, name, content, reason) in table {
        let files = TestFiles::default();
        files.put_pair("server");
        files.put("ca", &pem("authority.pem"));
        files.put(name, content);
        let error = Access::open(&config, &files.reader()).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

/// Scenario: the pair is exchanged, key first, while each step is looked at; then the certificate is broken.
/// Guarantees: new connections get the old pair until the new one is whole, and then that, whatever comes after it.
#[test]
fn a_pair_is_taken_up_whole() {
    let files = TestFiles::default();
    files.put_pair("server");
    let access = Access::open(&with_tls(), &files.reader()).unwrap();
    let in_force = || access.tls(Protocol::Grpc).unwrap();
    let first = in_force();
    access.look();
    assert!(Arc::ptr_eq(&first, &in_force()), "nothing has changed");
    files.put("key", &pem("renewed.key"));
    access.look();
    assert!(Arc::ptr_eq(&first, &in_force()), "half a pair");
    files.put("cert", &pem("renewed.pem"));
    access.look();
    let second = in_force();
    assert!(!Arc::ptr_eq(&first, &second));
    files.put("cert", b"");
    access.look();
    assert!(Arc::ptr_eq(&second, &in_force()), "a broken one");
    assert_eq!(format!("{access:?}"), "Access { tls: true, client_certificates: false, tokens: 0 }");
}

fn headers(values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
}

/// Scenario: two tokens; requests with each, with another, with parts of one, with none, with two headers, in other schemes.
/// Guarantees: exactly those with one header and one of the tokens come in; without configured tokens everybody does.
#[test]
fn only_known_tokens_come_in() {
    let files = TestFiles::default();
    files.put("old", b"alpha\n");
    files.put("new", b" beta");
    let access = Access::open(&with_tokens(&["old", "new"]), &files.reader()).unwrap();
    for (values, comes_in) in [
        (&["Bearer alpha"] as &[&str], true),
        (&["bearer beta"], true),
        (&["BEARER  beta"], true),
        (&["Bearer alph"], false),
        (&["Bearer alphaa"], false),
        (&["Bearer Alpha"], false),
        (&["Bearer "], false),
        (&["Bearer"], false),
        (&["Basic alpha"], false),
        (&["alpha"], false),
        (&[""], false),
        (&[], false),
        (&["Bearer alpha", "Bearer alpha"], false),
    ] {
        assert_eq!(access.admits(&headers(values)), comes_in, "{values:?}");
        assert!(Access::default().admits(&headers(values)));
    }
    assert!(access.shows_tokens_to_the_network() && !Access::default().shows_tokens_to_the_network());
}

/// Scenario: one token's file gets another token, the other one's is emptied.
/// Guarantees: the new token counts and the one it replaced does not; the emptied file's last token still does.
#[test]
fn tokens_are_replaced_one_by_one() {
    let files = TestFiles::default();
    files.put("first", b"alpha");
    files.put("second", b"beta");
    let access = Access::open(&with_tokens(&["first", "second"]), &files.reader()).unwrap();
    files.put("first", b"gamma");
    files.put("second", b"");
    access.look();
    let comes_in = ["alpha", "beta", "gamma"].map(|token| access.admits(&headers(&[&format!("Bearer {token}")])));
    assert_eq!(comes_in, [false, true, true]);
}
