//! The file as a tree in which every key and value knows its place.
//!
//! Deserializing straight into structs would stop at the first wrong type. The tree takes any well-formed
//! YAML, so that reading it can report every problem of the file at once.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::localizer::Localizer;
use serde_saphyr::{
    DuplicateKeyPolicy, Error, Location, MessageFormatter, Options, SnippetMode, Spanned,
    UserMessageFormatter,
};

use super::diagnostic::Diagnostic;
use super::span::{At, Span};

/// Anchors may repeat a part of the file; more than this is an attack on memory.
const REPLAYED_EVENTS_MAX: usize = 20_000;

pub(super) type Node = At<Value>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    /// In the file's order, and with a key as often as the file has it.
    Map(Vec<(At<String>, Node)>),
}

impl Value {
    /// What this is, for "… must be X, not Y".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar, also of one that YAML reads as a number or a boolean.
    pub(super) fn scalar_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Bool(flag) => Some(Cow::Owned(flag.to_string())),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(flag) => (*flag).into(),
            Self::Number(number) => number.clone().into(),
            Self::Text(text) => text.as_str().into(),
            Self::List(nodes) => nodes.iter().map(|node| node.value.to_json()).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, node)| (key.value.clone(), node.value.to_json())).collect()
            }
        }
    }
}

/// Reads YAML 1.2 booleans only; what is no YAML comes back as the one diagnostic that says so.
pub(super) fn parse(text: &str) -> Result<Node, Diagnostic> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        // Repeated keys are reported by the reader, all at once and with the place of the first.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED_EVENTS_MAX },
        with_snippet: false,
    };
    from_yaml(text, options).map_err(|error| {
        let span = error.location().map_or(Span::START, Span::from);
        Diagnostic::error(span, format!("can't read the YAML: {}", message(&error)))
    })
}

fn from_yaml(text: &str, options: Options) -> Result<Node, Error> {
    serde_saphyr::from_str_with_options(text, options)
}

/// The error's text without its place, which the diagnostic has already.
fn message(error: &Error) -> String {
    struct WithoutPlace;
    impl Localizer for WithoutPlace {
        fn attach_location<'a>(&self, base: Cow<'a, str>, _: Location) -> Cow<'a, str> {
            base
        }
    }
    let formatter: &dyn MessageFormatter = &UserMessageFormatter.with_localizer(&WithoutPlace);
    error.render_with_options(
        serde_saphyr::render_options! { formatter: formatter, snippets: SnippetMode::Off },
    )
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::<Value>::deserialize(deserializer).map(located)
    }
}

fn located<T>(spanned: Spanned<T>) -> At<T> {
    At { span: spanned.referenced.into(), value: spanned.value }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| E::custom("the number is not finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push((located(key), map.next_value::<Node>()?));
        }
        Ok(Value::Map(entries))
    }
}
