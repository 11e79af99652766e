//! Which model to call, with which key, and how long to wait.

use std::fmt;
use std::time::Duration;

/// Where a model is and how to speak to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelSettings {
    /// The protocol. It is stated, never guessed from the model's name.
    pub kind: ProviderKind,
    /// Where the API begins, `http` or `https`: `https://api.anthropic.com`, `http://127.0.0.1:8080/v1`. A missing
    /// `/v1` is added: always for Anthropic, and for the other kind only to an address that has no path at all.
    pub base_url: String,
    /// The key; local servers need none.
    pub api_key: Option<Secret>,
    /// The model that a request gets when it names none. Sent as it stands.
    pub model: String,
}

impl ModelSettings {
    /// A model of Anthropic at its own address.
    #[must_use]
    pub fn anthropic(api_key: Secret, model: impl Into<String>) -> Self {
        Self {
            kind: ProviderKind::Anthropic,
            base_url: "https://api.anthropic.com".to_owned(),
            api_key: Some(api_key),
            model: model.into(),
        }
    }

    /// A model of OpenAI at its own address.
    #[must_use]
    pub fn openai(api_key: Secret, model: impl Into<String>) -> Self {
        Self::openai_compatible("https://api.openai.com/v1", model).with_api_key(api_key)
    }

    /// A model behind any server that speaks OpenAI's chat completions: llama.cpp, vLLM, Ollama.
    #[must_use]
    pub fn openai_compatible(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            kind: ProviderKind::OpenAiCompatible,
            base_url: base_url.into(),
            api_key: None,
            model: model.into(),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_api_key(mut self, api_key: Secret) -> Self {
        self.api_key = Some(api_key);
        self
    }

    /// Sets where the API begins, for a proxy or a gateway.
    #[must_use]
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }
}

/// The protocol that a model server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProviderKind {
    /// Anthropic's Messages API.
    Anthropic,
    /// OpenAI's chat completions, as OpenAI, llama.cpp, vLLM and Ollama offer them.
    OpenAiCompatible,
}

/// A text that is never printed: an API key.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How long to wait for a model server. None may be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, TLS included. Default 5 s.
    pub connect: Duration,
    /// From the call to the first byte of the answer. A large prompt on a small machine, or a queue at the provider,
    /// needs this long. Default 60 s.
    pub first_byte: Duration,
    /// Between two pieces of the answer, while the caller waits for one. Default 30 s.
    pub idle: Duration,
    /// From the call to the end of the answer, the time in which the caller reads slowly included. Default 120 s.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            whole: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let settings = ModelSettings::anthropic(Secret::new("sk-ant-123"), "claude");
        let printed = format!("{settings:?} {settings:#?}");
        assert!(!printed.contains("sk-ant"), "{printed}");
        assert_eq!(settings.api_key.map(|key| key.expose().to_owned()).as_deref(), Some("sk-ant-123"));
    }
}
