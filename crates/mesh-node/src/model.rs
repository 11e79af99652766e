//! Which model the agents of this process call: the environment says.

use std::sync::Arc;

use mesh_agents::Models;
use mesh_models::{HttpProvider, ModelError, ModelSettings, Secret, Timeouts};

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
/// When the address is none, or the key cannot be sent.
pub fn models(read: impl Fn(&str) -> Option<String>) -> Result<Option<Models>, ModelError> {
    let wanted = given(&read, "MESH_MODEL");
    let Some(settings) = settings(&read, wanted.as_deref()) else { return Ok(None) };
    let models = Models::new(Arc::new(HttpProvider::new(settings, Timeouts::default())?));
    Ok(Some(match wanted {
        Some(name) => models.only(name),
        None => models,
    }))
}

fn settings(read: &impl Fn(&str) -> Option<String>, wanted: Option<&str>) -> Option<ModelSettings> {
    if let Some(url) = given(read, "MESH_MODEL_URL") {
        let served = ModelSettings::openai_compatible(url, wanted.unwrap_or(SERVED_MODEL));
        // A vendor's key is for that vendor's servers only.
        return Some(match given(read, "MESH_MODEL_KEY") {
            Some(key) => served.with_api_key(Secret::new(key)),
            None => served,
        });
    }
    if let Some(key) = given(read, "ANTHROPIC_API_KEY") {
        return Some(ModelSettings::anthropic(Secret::new(key), wanted.unwrap_or(ANTHROPIC_MODEL)));
    }
    let key = given(read, "OPENAI_API_KEY")?;
    Some(ModelSettings::openai(Secret::new(key), wanted.unwrap_or(OPENAI_MODEL)))
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
        settings(&read, given(&read, "MESH_MODEL").as_deref())
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
