//! `[alerts]` and its webhooks.

use std::path::PathBuf;
use std::time::Duration;

use daytwo_dashboards::{Network, Secret, Target, WebhookConfig, WebhookFormat};
use serde::{Deserialize, Serialize};

use super::Span;
use crate::cli::files;

/// Alertmanager forgets what it is not told again.
const REPEAT_ALERTMANAGER: Duration = Duration::from_secs(60);
const REPEAT_JSON: Duration = Duration::from_secs(4 * 3600);

/// `[alerts]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AlertsSection {
    pub(crate) board_url: String,
    pub(crate) webhook: Vec<WebhookSection>,
}

/// `[[alerts.webhook]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebhookSection {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) format: Format,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) severities: Option<Vec<Severity>>,
    pub(crate) allow_http: bool,
    pub(crate) allow_networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bearer_token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bearer_token_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signing_key_env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeat: Option<Span>,
}

/// The form in which a webhook is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Alertmanager,
    #[default]
    Json,
}

/// Whom an alert is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Page,
    Ticket,
}

impl WebhookSection {
    /// What is wrong with it: key, value and rule.
    pub(super) fn problems(&self) -> Vec<(&'static str, String, String)> {
        let mut found = Vec::new();
        let mut check = |key, value: String, holds: bool, rule: &str| {
            if !holds {
                found.push((key, value, rule.to_owned()));
            }
        };
        let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let named = !self.name.is_empty() && self.name.len() <= 64 && plain(&self.name);
        check(
            "name",
            format!("{:?}", self.name),
            named,
            "must be 1 to 64 letters, digits, dots, dashes or underscores",
        );
        if let Err(rule) = Target::parse(&self.url, self.allow_http) {
            check("url", format!("{:?}", self.url), false, &rule);
        }
        for network in &self.allow_networks {
            let wrong = network.parse::<Network>().err().unwrap_or_default();
            check("allow_networks", format!("{network:?}"), wrong.is_empty(), &wrong);
        }
        let none = self.severities.as_ref().is_some_and(Vec::is_empty);
        check("severities", "[]".to_owned(), !none, "must hold page, ticket or both");
        let both = "is given by a file and by a variable; keep one of them";
        let twice = self.bearer_token_file.is_some() && self.bearer_token_env.is_some();
        check("bearer_token_env", format!("{:?}", self.bearer_token_env), !twice, both);
        let twice = self.signing_key_file.is_some() && self.signing_key_env.is_some();
        check("signing_key_env", format!("{:?}", self.signing_key_env), !twice, both);
        let repeat = self.repeat();
        let holds = (Duration::from_secs(30)..=Duration::from_secs(7 * 86_400)).contains(&repeat);
        check("repeat", format!("\"{}\"", Span(repeat)), holds, "must be between 30s and 7d");
        found
    }

    fn repeat(&self) -> Duration {
        let default = if self.format == Format::Alertmanager { REPEAT_ALERTMANAGER } else { REPEAT_JSON };
        self.repeat.map_or(default, |repeat| repeat.0)
    }

    /// What the alerts are given, with secrets read from files and the environment.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn settings(&self, environment: &[(String, String)]) -> Result<WebhookConfig, String> {
        let wanted = |severity| self.severities.as_ref().is_none_or(|wanted| wanted.contains(&severity));
        let networks = self.allow_networks.iter().map(|network| network.parse()).collect::<Result<_, String>>();
        Ok(WebhookConfig {
            name: self.name.clone(),
            target: self.named(Target::parse(&self.url, self.allow_http))?,
            format: match self.format {
                Format::Alertmanager => WebhookFormat::Alertmanager,
                Format::Json => WebhookFormat::Json,
            },
            pages: wanted(Severity::Page),
            tickets: wanted(Severity::Ticket),
            allow_networks: self.named(networks)?,
            ca_pem: self.named(self.ca_file.as_deref().map(files::read).transpose())?,
            bearer_token: self.named(secret(&self.bearer_token_file, &self.bearer_token_env, environment))?,
            signing_key: self.named(secret(&self.signing_key_file, &self.signing_key_env, environment))?,
            repeat: self.repeat(),
        })
    }

    fn named<T>(&self, result: Result<T, String>) -> Result<T, String> {
        result.map_err(|reason| format!("the webhook {} cannot be used: {reason}", self.name))
    }
}

/// A secret that is there must not be empty: an empty one would let everybody in.
fn secret(
    file: &Option<PathBuf>,
    variable: &Option<String>,
    environment: &[(String, String)],
) -> Result<Option<Secret>, String> {
    let (text, place) = match (file, variable) {
        (Some(path), _) => {
            let text = String::from_utf8(files::read(path)?).map_err(|_| format!("{} is no text", path.display()))?;
            (text, path.display().to_string())
        }
        (None, Some(name)) => {
            let value = environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            (value.ok_or_else(|| format!("the variable {name} is not set"))?, format!("the variable {name}"))
        }
        (None, None) => return Ok(None),
    };
    let secret = Secret::new(&text);
    if secret.is_empty() { Err(format!("{place} is empty")) } else { Ok(Some(secret)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook() -> WebhookSection {
        WebhookSection {
            name: "ops".to_owned(),
            url: "https://alerts.example/hook".to_owned(),
            ..WebhookSection::default()
        }
    }

    /// Scenario: secrets in a file with a line break, in a variable, in both of which nothing is there, and in a file that is not there.
    /// Guarantees: the secret is read, and what is missing or empty stops the start with its place.
    #[test]
    fn secrets_come_from_files_and_variables() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let environment = [("KEY".to_owned(), "k".to_owned()), ("NONE".to_owned(), " ".to_owned())];
        let section = WebhookSection {
            bearer_token_file: file("token", "t\n"),
            signing_key_env: Some("KEY".to_owned()),
            ..webhook()
        };
        let config = section.settings(&environment).unwrap();
        assert_eq!((config.bearer_token, config.signing_key), (Some(Secret::new("t")), Some(Secret::new("k"))));
        assert_eq!((config.pages, config.tickets, config.repeat), (true, true, REPEAT_JSON));
        for (section, reason) in [
            (WebhookSection { bearer_token_file: file("empty", "\n"), ..webhook() }, "empty is empty"),
            (WebhookSection { signing_key_env: Some("NONE".to_owned()), ..webhook() }, "variable NONE is empty"),
            (WebhookSection { signing_key_env: Some("GONE".to_owned()), ..webhook() }, "variable GONE is not set"),
            (WebhookSection { ca_file: Some(folder.path().join("gone")), ..webhook() }, "cannot read"),
        ] {
            let refused = section.settings(&environment).unwrap_err();
            assert!(refused.starts_with("the webhook ops cannot be used: ") && refused.contains(reason), "{refused}");
        }
    }
}
