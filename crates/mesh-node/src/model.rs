//! Which model the agents of this process call: the environment says.

use std::sync::Arc;

use mesh_agents::Models;
use mesh_models::{HttpProvider, ModelError, ModelSettings, Secret, Timeouts};

const URL: &str = "MESH_MODEL_URL";
const KEY: &str = "MESH_MODEL_KEY";
const MODEL: &str = "MESH_MODEL";
const ANTHROPIC_KEY: &str = "ANTHROPIC_API_KEY";
const OPENAI_KEY: &str = "OPENAI_API_KEY";

/// The variables that belong to the mesh alone, and are settings of no node.
pub(crate) const VARIABLES: [&str; 3] = [URL, KEY, MODEL];

/// Taken where the environment has a key of the vendor and names no model.
const ANTHROPIC_MODEL: &str = "claude-sonnet-4-20250514";
const OPENAI_MODEL: &str = "gpt-4.1-mini";
/// A server of one model takes any name for it.
const SERVED_MODEL: &str = "default";

/// The models of this process: the first of `MESH_MODEL_URL` (with `MESH_MODEL_KEY`), `ANTHROPIC_API_KEY` and
/// `OPENAI_API_KEY` decides; `MESH_MODEL` is then the model of every agent, whatever it asks for.
///
/// `None` where there is none of them: agents of this process then refuse their work, and say so.
///
/// # Errors
/// [`BadModel`] when the address is none, or the key cannot be sent.
pub fn models(read: impl Fn(&str) -> Option<String>) -> Result<Option<Models>, BadModel> {
    let wanted = given(&read, MODEL);
    let Some((settings, key)) = settings(&read, wanted.as_deref()) else { return Ok(None) };
    let url = settings.base_url.clone();
    let provider = HttpProvider::new(settings, Timeouts::default())
        .map_err(|source| BadModel { variable: blamed(&source, key, &url), source })?;
    let models = Models::new(Arc::new(provider));
    Ok(Some(match wanted {
        Some(name) => models.only(name),
        None => models,
    }))
}

/// A variable of the environment that names no model which could be called. The operator's mistake; nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{variable} cannot be used")]
#[non_exhaustive]
pub struct BadModel {
    /// The variable, with its value where that is no secret.
    pub variable: String,
    /// What is wrong with it.
    #[source]
    pub source: ModelError,
}

/// The variable that an error is about; `key` is the one that the key came from.
fn blamed(error: &ModelError, key: &str, url: &str) -> String {
    match error {
        ModelError::Misconfigured { key: "base_url", .. } => format!("{URL}={}", without_secrets(url)),
        ModelError::Misconfigured { key: "api_key", .. } => key.to_owned(),
        _ => MODEL.to_owned(),
    }
}

/// An address without what may be a password before its host or a key behind its path.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}

/// The settings, and the variable of their key.
fn settings(
    read: &impl Fn(&str) -> Option<String>,
    wanted: Option<&str>,
) -> Option<(ModelSettings, &'static str)> {
    if let Some(url) = given(read, URL) {
        let served = ModelSettings::openai_compatible(url, wanted.unwrap_or(SERVED_MODEL));
        // A vendor's key is for that vendor's servers only.
        let settings = match given(read, KEY) {
            Some(key) => served.with_api_key(Secret::new(key)),
            None => served,
        };
        return Some((settings, KEY));
    }
    if let Some(key) = given(read, ANTHROPIC_KEY) {
        let settings = ModelSettings::anthropic(Secret::new(key), wanted.unwrap_or(ANTHROPIC_MODEL));
        return Some((settings, ANTHROPIC_KEY));
    }
    let key = given(read, OPENAI_KEY)?;
    Some((ModelSettings::openai(Secret::new(key), wanted.unwrap_or(OPENAI_MODEL)), OPENAI_KEY))
}

fn given(read: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    read(name).filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use mesh_models::ProviderKind;

    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Option<ModelSettings> {
        let read = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        settings(&read, given(&read, MODEL).as_deref()).map(|(settings, _)| settings)
    }

    fn problem(variables: &[(&str, &str)]) -> String {
        let read = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        crate::error::chain(&models(read).unwrap_err())
    }

    #[test]
    fn a_variable_that_cannot_be_used_is_named_with_its_value_unless_that_is_a_secret() {
        let said = problem(&[(URL, "notaurl")]);
        assert!(said.starts_with("MESH_MODEL_URL=notaurl cannot be used: "), "{said}");
        let said = problem(&[(URL, "ftp://me:secret@host/v1?key=hidden")]);
        assert!(said.starts_with("MESH_MODEL_URL=…@host/v1 cannot be used"), "{said}");
        assert!(!said.contains("secret") && !said.contains("hidden"), "{said}");
        for (variable, others) in [(KEY, Some((URL, "http://127.0.0.1:1"))), (ANTHROPIC_KEY, None)] {
            let given: Vec<_> = others.into_iter().chain([(variable, "a\nb")]).collect();
            let said = problem(&given);
            assert!(said.starts_with(&format!("{variable} cannot be used: ")), "{said}");
            assert!(!said.contains("a\nb"), "{said}");
        }
    }

    #[test]
    fn an_address_comes_before_the_keys_and_gets_none_of_them() {
        let settings = chosen(&[
            ("MESH_MODEL_URL", "http://127.0.0.1:1/v1"),
            ("ANTHROPIC_API_KEY", "a"),
            ("OPENAI_API_KEY", "o"),
        ])
        .unwrap();
        assert_eq!(settings.base_url, "http://127.0.0.1:1/v1");
        assert_eq!(settings.kind, ProviderKind::OpenAiCompatible);
        assert!(settings.api_key.is_none());
        let settings = chosen(&[("MESH_MODEL_URL", "http://127.0.0.1:1"), ("MESH_MODEL_KEY", "k")]).unwrap();
        assert_eq!(settings.api_key.unwrap().expose(), "k");
    }

    #[test]
    fn the_first_key_decides_the_vendor_and_mesh_model_the_model() {
        let settings =
            chosen(&[("OPENAI_API_KEY", "o"), ("ANTHROPIC_API_KEY", "a"), ("MESH_MODEL", "m")]).unwrap();
        assert_eq!((settings.kind, settings.model.as_str()), (ProviderKind::Anthropic, "m"));
        let settings = chosen(&[("OPENAI_API_KEY", "o"), ("ANTHROPIC_API_KEY", " ")]).unwrap();
        assert_eq!((settings.kind, settings.model.as_str()), (ProviderKind::OpenAiCompatible, OPENAI_MODEL));
    }

    #[test]
    fn without_any_of_them_there_is_no_model() {
        assert!(chosen(&[("MESH_MODEL", "m")]).is_none());
        assert!(models(|_| None).unwrap().is_none());
    }
}
