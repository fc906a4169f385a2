//! Settings of a webhook, as the binary hands them in: secrets are texts by now, files and environment stay with the binary.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text out of sight; white space around it, as at the end of a file, is left out.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, for where it is needed.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to keep secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The form in which alerts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// `POST /api/v2/alerts` of Alertmanager.
    Alertmanager,
    /// Plain JSON, one request a service.
    Json,
}

impl WebhookFormat {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Json => "json",
        }
    }
}

/// Addresses that begin alike, as in `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: u128,
    bits: u32,
    v4: bool,
}

impl Network {
    /// Whether an address lies in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (number, width, v4) = number_of(address);
        v4 == self.v4 && shifted(number, width, self.bits) == shifted(self.first, width, self.bits)
    }
}

fn number_of(address: IpAddr) -> (u128, u32, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32, true),
        IpAddr::V6(v6) => (v6.to_bits(), 128, false),
    }
}

fn shifted(number: u128, width: u32, bits: u32) -> u128 {
    number.checked_shr(width.saturating_sub(bits)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let wrong = || format!("{text:?} is no network like 10.0.0.0/8 or fd00::/8");
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (first, width, v4) = number_of(address);
        let bits = bits.map_or(Ok(width), |bits| bits.parse::<u32>().map_err(|_| wrong()))?;
        if bits > width { Err(wrong()) } else { Ok(Self { first, bits, v4 }) }
    }
}

/// Where a webhook goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as written, for the `Host` header.
    pub(super) authority: String,
    pub(super) path: String,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, as a rule for who wrote it.
    pub fn parse(url: &str, allow_http: bool) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "must be a URL like https://alerts.example/hook".to_owned())?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err("must be a URL like https://alerts.example/hook".to_owned());
        };
        let tls = *scheme == Scheme::HTTPS;
        if !tls && *scheme != Scheme::HTTP {
            return Err("must begin with https://".to_owned());
        }
        if !tls && !allow_http {
            return Err("sends alerts unencrypted; use https://, or set allow_http = true for this webhook".to_owned());
        }
        if authority.as_str().contains('@') {
            return Err("must not hold a user name or password; use bearer_token_file".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err("must name a host".to_owned());
        }
        Ok(Self {
            tls,
            host,
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

/// One receiver of alerts.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Its name in metrics, in the log and in what is kept about it.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// What it is sent.
    pub format: WebhookFormat,
    /// Whether it gets alerts that wake someone.
    pub pages: bool,
    /// Whether it gets alerts for working hours.
    pub tickets: bool,
    /// Private addresses that it may have; all others that are not public are refused.
    pub allow_networks: Vec<Network>,
    /// Certificates to trust in place of the machine's, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Sent as `Authorization: Bearer …`.
    pub bearer_token: Option<Secret>,
    /// Signs bodies: `X-Daytwo-Signature`.
    pub signing_key: Option<Secret>,
    /// How often an alert that goes on is told again.
    pub repeat: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: networks of both families, single addresses, and texts that are none.
    /// Guarantees: membership is by the leading bits and by family.
    #[test]
    fn networks_hold_what_begins_alike() {
        for (network, address, holds) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.168.4.0/22", "192.168.7.255", true),
            ("192.168.4.0/22", "192.168.8.0", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::/0", "::ffff:10.0.0.1", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), holds, "{address} in {network}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "example.com/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    /// Scenario: URLs of every kind.
    /// Guarantees: https with any port and path is taken, http only where it is allowed; others are refused with what to write.
    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse("https://alerts.example/a?b=c", false).unwrap();
        assert_eq!((target.tls, target.host.as_str(), target.port), (true, "alerts.example", 443));
        assert_eq!(target.path, "/a?b=c");
        let target = Target::parse("http://[::1]:9093/api/v2/alerts", true).unwrap();
        assert_eq!(
            (target.tls, target.host.as_str(), target.port, target.authority.as_str()),
            (false, "::1", 9093, "[::1]:9093")
        );
        for (url, rule) in [
            ("http://alerts.example", "allow_http"),
            ("ftp://alerts.example", "https://"),
            ("alerts.example", "https://"),
            ("/hook", "https://"),
            ("https://user:word@alerts.example", "user name"),
            ("https://", "URL"),
        ] {
            let refused = Target::parse(url, false).unwrap_err();
            assert!(refused.contains(rule), "{url}: {refused}");
        }
    }

    /// Scenario: a secret in a debug output.
    /// Guarantees: it is not there.
    #[test]
    fn secrets_are_not_shown() {
        let secret = Secret::new(" hunter2\n");
        assert_eq!((secret.reveal(), format!("{secret:?}").as_str()), ("hunter2", "(secret)"));
    }
}
