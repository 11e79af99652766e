//! Which settings there are: read off the schema of [`NodeSettings`], so that nothing is listed twice.

use serde_json::Value;

use super::NodeSettings;

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// `["transport", "keep_alive"]`
    pub(super) path: Vec<String>,
    pub(super) shape: Shape,
    /// Its documentation and default, which config/node.toml is compared with.
    #[cfg(test)]
    pub(super) schema: Value,
}

/// What its value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Flag,
    Integer,
    /// A share, such as 0.5.
    Number,
    /// A list of texts.
    List,
    /// Any keys, with texts.
    Map,
    /// A list of tables.
    Tables,
    /// Settings of its own; its keys follow it.
    Section,
}

impl Key {
    /// `MESH_TRANSPORT_KEEP_ALIVE`
    pub(super) fn variable(&self) -> String {
        format!("MESH_{}", self.path.join("_").to_uppercase())
    }
}

/// The variables that settings are read from.
pub(crate) fn variables() -> Vec<String> {
    let readable = |key: &Key| !matches!(key.shape, Shape::Tables | Shape::Section);
    keys().iter().filter(|key| readable(key)).map(Key::variable).collect()
}

/// The one of `known` that is spelt most like `name`, if any is like it.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let nearest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    nearest.filter(|nearest| likeness(nearest) > 0.8)
}

/// All settings, each section before its keys.
pub(super) fn keys() -> Vec<Key> {
    let schema = schemars::schema_for!(NodeSettings).to_value();
    let mut keys = Vec::new();
    collect(&schema, &[], &mut keys);
    keys
}

fn collect(schema: &Value, path: &[String], keys: &mut Vec<Key>) {
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (name, schema) in properties {
        let path = [path, std::slice::from_ref(name)].concat();
        let shape = shape(schema);
        keys.push(Key {
            path: path.clone(),
            shape,
            #[cfg(test)]
            schema: schema.clone(),
        });
        if shape == Shape::Section {
            collect(schema, &path, keys);
        }
    }
}

fn shape(schema: &Value) -> Shape {
    // An optional value's type is a list: ["string", "null"].
    let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
    match kind.as_str() {
        Some("boolean") => Shape::Flag,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("array") if schema["items"]["type"] == "string" => Shape::List,
        Some("array") => Shape::Tables,
        Some("object") if schema.get("properties").is_some() => Shape::Section,
        Some("object") => Shape::Map,
        _ => Shape::Text,
    }
}
