//! Who may export, and how connections are protected: TLS, certificates of clients, tokens.
//!
//! All of it is in files, which are read again while the server runs (`kept`); `tls` makes rustls settings of certificates,
//! `token` is what a request shows. A certificate is looked at in the handshake, a token before a request's body is read.

mod kept;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio_rustls::rustls::ServerConfig;
use tracing::{error, info, warn};

use crate::AccessConfig;
use crate::error::{CollectorError, Result};
use crate::server::Protocol;
use kept::{Kept, SettingFile};
use tls::{Tls, TlsFiles};
use token::Token;

pub use kept::FileReader;

/// Who may export, and how connections are protected. The default lets everybody in, without TLS.
#[derive(Default)]
pub struct Access {
    tls: Option<Kept<Tls>>,
    /// Any of them will do; without one, no request needs a token.
    tokens: Vec<Kept<Token>>,
    interval: Duration,
}

impl Access {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CollectorError::Config`] for settings that contradict each other, [`CollectorError::File`] for a file that cannot be
    /// used.
    pub fn open(config: &AccessConfig, files: &FileReader) -> Result<Self> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(CollectorError::Config { problems });
        }
        let tls = TlsFiles::of(config).map(|named| Kept::open(files, move |reading| named.make(reading)));
        let tokens = config.bearer_token_files.iter().map(|path| {
            let file = SettingFile::new("collector.bearer_token_files", path);
            Kept::open(files, move |reading| Token::read(&file, reading))
        });
        Ok(Self { tls: tls.transpose()?, tokens: tokens.collect::<Result<_>>()?, interval: config.interval })
    }

    /// How a listener's next connection is to be accepted; `None` without TLS.
    pub(crate) fn tls(&self, protocol: Protocol) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(|tls| tls.get().of(protocol))
    }

    /// Whether a request with these headers may come in.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let Some(shown) = token::shown(headers) else { return false };
        // All are compared, so that the time taken does not tell which one fits.
        self.tokens.iter().fold(false, |known, token| token.get().is(&shown) | known)
    }

    /// Whether whoever listens on the way can read tokens.
    pub(crate) fn shows_tokens_to_the_network(&self) -> bool {
        !self.tokens.is_empty() && self.tls.is_none()
    }

    /// Reads the files again and again; never ends.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(crate) async fn keep(self: Arc<Self>) {
        if self.tls.is_none() && self.tokens.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(self.interval).await;
            let access = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || access.look()).await {
                error!(error = &error as &dyn std::error::Error, "certificates and tokens cannot be looked at");
            }
        }
    }

    /// Reads the files once. What cannot be used is said once, and what was read before stays in force.
    fn look(&self) {
        let tls = self.tls.iter().filter_map(Kept::look).map(|looked| ("the TLS certificate", looked));
        let tokens = self.tokens.iter().filter_map(Kept::look).map(|looked| ("a bearer token", looked));
        for (what, looked) in tls.chain(tokens) {
            match looked {
                Ok(()) => info!(what, "read again after a change"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(what, error, "changed and cannot be used; what was read before stays in force");
                }
            }
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = self.tls.as_ref().map(Kept::get);
        f.debug_struct("Access")
            .field("tls", &tls.is_some())
            .field("client_certificates", &tls.is_some_and(|tls| tls.asks_for_certificates()))
            .field("tokens", &self.tokens.len())
            .finish()
    }
}
