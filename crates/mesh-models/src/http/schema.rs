//! JSON schemas as the providers want them.

use serde_json::{Map, Value};

/// Keywords whose value maps names to schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Keywords whose value is a schema or a list of them.
const NESTED: [&str; 5] = ["items", "anyOf", "allOf", "oneOf", "prefixItems"];
/// Keywords that Anthropic answers with 400.
const BOUNDS: [&str; 9] = [
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];

/// The schema with `"additionalProperties": false` in each object that says nothing about them, as hosted providers
/// demand.
pub(super) fn closed(schema: &Value) -> Value {
    changed(schema, &|schema| {
        if schema.contains_key("properties") {
            schema.entry("additionalProperties").or_insert(Value::Bool(false));
        }
    })
}

/// The schema without bounds on lengths and numbers.
pub(super) fn without_bounds(schema: &Value) -> Value {
    changed(schema, &|schema| {
        schema.retain(|keyword, value| match keyword.as_str() {
            "minItems" => matches!(value.as_u64(), Some(0 | 1)),
            keyword => !BOUNDS.contains(&keyword),
        });
    })
}

/// Applies `change` to the schema and every schema within; what is data (`enum`, `const`, names) stays as it is.
fn changed(schema: &Value, change: &dyn Fn(&mut Map<String, Value>)) -> Value {
    let Value::Object(schema) = schema else { return schema.clone() };
    let mut schema = schema.clone();
    for (keyword, value) in &mut schema {
        match value {
            Value::Object(named) if NAMED.contains(&keyword.as_str()) => {
                for inner in named.values_mut() {
                    *inner = changed(inner, change);
                }
            }
            Value::Array(list) if NESTED.contains(&keyword.as_str()) => {
                for inner in list {
                    *inner = changed(inner, change);
                }
            }
            Value::Object(_) if NESTED.contains(&keyword.as_str()) => *value = changed(value, change),
            _ => {}
        }
    }
    change(&mut schema);
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_object_is_closed_unless_it_says_otherwise() {
        let open = json!({"type": "object", "properties": {
            "steps": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "notes": {"type": "object", "properties": {}, "additionalProperties": true},
        }});
        let closed = closed(&open);
        assert_eq!(closed["additionalProperties"], json!(false));
        assert_eq!(closed["properties"]["steps"]["items"]["additionalProperties"], json!(false));
        assert_eq!(closed["properties"]["notes"]["additionalProperties"], json!(true));
        assert!(closed["properties"]["steps"].get("additionalProperties").is_none());
    }

    #[test]
    fn bounds_go_and_properties_of_that_name_stay() {
        let schema = json!({
            "properties": {
                "maximum": {"type": "integer", "maximum": 3},
                "list": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"maxLength": 9}},
                "pair": {"minItems": 2},
                "word": {"enum": ["a"], "const": {"maximum": 1}},
            },
        });
        let expected = json!({
            "properties": {
                "maximum": {"type": "integer"},
                "list": {"type": "array", "minItems": 1, "items": {}},
                "pair": {},
                "word": {"enum": ["a"], "const": {"maximum": 1}},
            },
        });
        assert_eq!(without_bounds(&schema), expected);
    }
}
