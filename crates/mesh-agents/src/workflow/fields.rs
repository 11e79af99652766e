//! Reading the keys of one mapping: each is asked for by name, and what nobody asked for is unknown.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::file::Choice;
use super::render::is_unprintable;
use super::span::{At, Span};
use super::suggest::{listed, nearest};
use super::tree::{Node, Value};

/// What to make of a key that this version doesn't know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Warn and go on without it: newer files run on older nodes.
    #[default]
    Lenient,
    /// Refuse the file.
    Strict,
}

/// The problems found so far.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) found: Vec<Diagnostic>,
    strictness: Strictness,
}

impl Findings {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { found: Vec::new(), strictness }
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }
}

/// One mapping of the file while it is read.
pub(super) struct Fields<'t, 'f> {
    /// The mapping's name in messages: `stage "review"`.
    owner: String,
    at: Span,
    entries: Vec<(&'t At<String>, &'t Node)>,
    asked: Vec<&'static str>,
    pub(super) findings: &'f mut Findings,
}

impl<'t, 'f> Fields<'t, 'f> {
    /// `at` is the place to show when a key is missing. Anything but a mapping is reported and gives nothing.
    pub(super) fn open(
        node: &'t Node,
        owner: impl Into<String>,
        at: Span,
        findings: &'f mut Findings,
    ) -> Option<Self> {
        let owner = owner.into();
        let entries = entries(node, &owner, findings)?;
        Some(Self { owner, at, entries, asked: Vec::new(), findings })
    }

    pub(super) fn set_owner(&mut self, owner: String) {
        self.owner = owner;
    }

    /// The value of a key; one without a value is reported, since it is a line that somebody left unfinished.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Node> {
        self.asked.push(key);
        let (at, node) = self.entries.iter().find(|(known, _)| known.value == key)?;
        if node.value == Value::Null {
            let message = format!("`{key}` of {} has no value", self.owner);
            self.findings.push(Diagnostic::error(at.span, message).label("give it one, or remove the key"));
            return None;
        }
        Some(node)
    }

    /// Reports a key that has to be there. Call it after the key was taken.
    pub(super) fn require(&mut self, key: &'static str, help: Option<&str>) {
        if self.entries.iter().any(|(known, _)| known.value == key) {
            return;
        }
        let mut missing = Diagnostic::error(self.at, format!("{} has no `{key}`", self.owner));
        missing.help = help.map(str::to_owned);
        self.findings.push(missing);
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<At<String>> {
        let node = self.take(key)?;
        match &node.value {
            Value::Text(text) => Some(At { value: text.clone(), span: node.span }),
            other => {
                let scalar = other.scalar_text();
                let label = scalar.map(|text| format!("write it in quotes: \"{text}\""));
                self.wrong_kind(key, node, "text", label)
            }
        }
    }

    /// A text that names something: not empty, at most 100 characters, all of them printable.
    pub(super) fn name(&mut self, key: &'static str) -> Option<At<String>> {
        let name = self.text(key)?;
        let owner = format!("`{key}` of {}", self.owner);
        is_name(&name, &owner, self.findings).then_some(name)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<At<bool>> {
        let node = self.take(key)?;
        let label = match &node.value {
            Value::Bool(flag) => return Some(At { value: *flag, span: node.span }),
            Value::Text(text) => match text.to_lowercase().as_str() {
                "yes" | "on" | "true" => Some("write `true`".to_owned()),
                "no" | "off" | "false" => Some("write `false`".to_owned()),
                _ => None,
            },
            _ => None,
        };
        self.wrong_kind(key, node, "true or false", label)
    }

    /// A whole number from 1 up.
    pub(super) fn count(&mut self, key: &'static str, zero: &str) -> Option<At<u32>> {
        let node = self.take(key)?;
        let Value::Number(number) = &node.value else {
            return self.wrong_kind(key, node, "a whole number", None);
        };
        match number.as_u64().and_then(|whole| u32::try_from(whole).ok()) {
            Some(value @ 1..) => Some(At { value, span: node.span }),
            Some(0) => self.refuse(key, node, "is 0", zero),
            None => self.refuse(
                key,
                node,
                &format!("is {number}"),
                "expected a whole number from 1 to 4294967295",
            ),
        }
    }

    pub(super) fn number(&mut self, key: &'static str, min: f64, max: f64) -> Option<At<f64>> {
        let node = self.take(key)?;
        let Value::Number(number) = &node.value else { return self.wrong_kind(key, node, "a number", None) };
        match number.as_f64() {
            Some(value) if (min..=max).contains(&value) => Some(At { value, span: node.span }),
            _ => self.refuse(
                key,
                node,
                &format!("is {number}"),
                &format!("expected a number from {min} to {max}"),
            ),
        }
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<At<Duration>> {
        let node = self.take(key)?;
        let example = "expected a time with its unit, as in \"30s\" or \"2m\"";
        let Value::Text(text) = &node.value else {
            return self.wrong_kind(key, node, "a time", Some(example.to_owned()));
        };
        match humantime::parse_duration(text) {
            Ok(Duration::ZERO) => self.refuse(key, node, "is 0", "nothing is ever done in time"),
            Ok(value) => Some(At { value, span: node.span }),
            Err(_) => self.refuse(key, node, &format!("is \"{text}\""), example),
        }
    }

    pub(super) fn choice<T: Choice>(&mut self, key: &'static str) -> Option<At<T>> {
        let node = self.take(key)?;
        // A version is often written without quotes, and then YAML reads it as a number.
        let Some(word) = node.value.scalar_text() else { return self.wrong_kind(key, node, "text", None) };
        if let Some((_, value)) = T::KNOWN.iter().find(|(known, _)| *known == word) {
            return Some(At { value: *value, span: node.span });
        }
        let known = || T::KNOWN.iter().map(|(known, _)| *known);
        let mut unknown = Diagnostic::error(node.span, format!("unknown {key} `{word}`"))
            .help(format!("known here: {}", listed(known())));
        unknown.label = nearest(&word, known()).map(|near| format!("did you mean `{near}`?"));
        self.findings.push(unknown);
        None
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn close(self) {
        for (key, _) in &self.entries {
            if self.asked.contains(&key.value.as_str()) {
                continue;
            }
            let message = format!("unknown key `{}` in {}", key.value, self.owner);
            let mut unknown = match self.findings.strictness {
                Strictness::Lenient => Diagnostic::warning(key.span, message).label("this is ignored"),
                Strictness::Strict => Diagnostic::error(key.span, message),
            };
            match nearest(&key.value, self.asked.iter().copied()) {
                Some(near) => unknown = unknown.label(format!("did you mean `{near}`?")),
                None => unknown = unknown.help(format!("known here: {}", listed(self.asked.iter().copied()))),
            }
            self.findings.push(unknown);
        }
    }

    /// Reports a value of the wrong kind; always `None`, so that a reader returns it.
    pub(super) fn wrong_kind<T>(
        &mut self,
        key: &str,
        node: &Node,
        expected: &str,
        label: Option<String>,
    ) -> Option<T> {
        let message = format!("`{key}` of {} must be {expected}, not {}", self.owner, node.value.kind());
        let mut wrong = Diagnostic::error(node.span, message);
        wrong.label = label;
        self.findings.push(wrong);
        None
    }

    /// Reports a value out of its range; always `None`, so that a reader returns it.
    fn refuse<T>(&mut self, key: &str, node: &Node, value: &str, label: &str) -> Option<T> {
        let message = format!("`{key}` of {} {value}", self.owner);
        self.findings.push(Diagnostic::error(node.span, message).label(label));
        None
    }
}

/// The entries of a mapping, the first of each key; repeated keys and other kinds are reported.
pub(super) fn entries<'t>(
    node: &'t Node,
    owner: &str,
    findings: &mut Findings,
) -> Option<Vec<(&'t At<String>, &'t Node)>> {
    let Value::Map(map) = &node.value else {
        let message = format!("{owner} must be a mapping, not {}", node.value.kind());
        findings.push(Diagnostic::error(node.span, message));
        return None;
    };
    let mut first: std::collections::HashMap<&str, Span> = std::collections::HashMap::new();
    let mut entries = Vec::with_capacity(map.len());
    for (key, value) in map {
        if let Some(span) = first.get(key.value.as_str()) {
            let message = format!("`{}` is given twice in {owner}", key.value);
            findings.push(
                Diagnostic::error(key.span, message).label(format!("the first is at line {}", span.line)),
            );
            continue;
        }
        first.insert(&key.value, key.span);
        entries.push((key, value));
    }
    Some(entries)
}

/// Whether a text can name something; what is wrong with it is reported.
pub(super) fn is_name(name: &At<String>, owner: &str, findings: &mut Findings) -> bool {
    const NAME_CHARS_MAX: usize = 100;
    let text = &name.value;
    let wrong = if text.trim().is_empty() {
        "is empty".to_owned()
    } else if text.trim() != text {
        "begins or ends with a space".to_owned()
    } else if text.chars().any(is_unprintable) {
        "has a character that can't be printed".to_owned()
    } else if text.chars().count() > NAME_CHARS_MAX {
        format!("is longer than {NAME_CHARS_MAX} characters")
    } else {
        return true;
    };
    findings.push(Diagnostic::error(name.span, format!("{owner} {wrong}")));
    false
}
