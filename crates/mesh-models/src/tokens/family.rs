//! Which tokenizer a model has.

use std::sync::Arc;

use super::{Bpe, Estimator, Framing, TokenCounter};
use crate::ProviderKind;

/// Models that split texts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// GPT-4o and everything of OpenAI's since, open models included.
    O200k,
    /// GPT-4 and GPT-3.5, and OpenAI's embeddings.
    Cl100k,
    /// Every other: Claude, Llama, Qwen, Mistral, Gemini.
    Other,
}

impl Family {
    /// The family of a model, by its name; what stands before a `/` is who offers it.
    ///
    /// ```
    /// use mesh_models::Family;
    /// assert_eq!(Family::of("openai/gpt-4o-mini"), Family::O200k);
    /// assert_eq!(Family::of("claude-sonnet-4-5"), Family::Other);
    /// ```
    #[must_use]
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let is_newer = begins(&["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-oss", "chatgpt-4o"]);
        let is_older = begins(&["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-"]);
        let is_reasoning = name.strip_prefix('o').is_some_and(|rest| {
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            name.len() > 1 + rest.len() && (rest.is_empty() || rest.starts_with('-'))
        });
        match () {
            () if is_newer || is_reasoning => Self::O200k,
            () if is_older => Self::Cl100k,
            () if begins(&["gpt-"]) => Self::O200k,
            () => Self::Other,
        }
    }
}

/// A counter for `model` behind a server that speaks `kind`.
#[must_use]
pub fn counter_for(kind: ProviderKind, model: &str) -> Arc<dyn TokenCounter> {
    match (kind, Family::of(model)) {
        (ProviderKind::OpenAiCompatible, Family::O200k) => Arc::new(Bpe::o200k()),
        (ProviderKind::OpenAiCompatible, Family::Cl100k) => Arc::new(Bpe::cl100k()),
        (ProviderKind::OpenAiCompatible, Family::Other) => Arc::new(Estimator::new(Framing::OPENAI)),
        (ProviderKind::Anthropic, _) => Arc::new(Estimator::new(Framing::ANTHROPIC)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_of_the_family_that_its_name_tells() {
        for (model, family) in [
            ("gpt-4o-2024-08-06", Family::O200k),
            ("gpt-4.1-mini", Family::O200k),
            ("gpt-5.4", Family::O200k),
            ("o1", Family::O200k),
            ("o3-mini", Family::O200k),
            ("openai/gpt-oss-20b", Family::O200k),
            ("GPT-4-turbo", Family::Cl100k),
            ("gpt-3.5-turbo", Family::Cl100k),
            ("text-embedding-3-small", Family::Cl100k),
            ("claude-opus-4-5", Family::Other),
            ("meta/llama-3.1-8b", Family::Other),
            ("olmo-2", Family::Other),
            ("o", Family::Other),
            ("o3x", Family::Other),
            ("", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
