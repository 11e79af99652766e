//! JSON in one form, so that what is the same has the same hash.

use mesh_store::ContentHash;
use serde_json::Value;

/// JSON text with sorted keys and no spaces: two equal values are the same text.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// The hash of an action: of the tool's name with its exact arguments. Approvals and the ledger bind to it.
#[must_use]
pub fn action_hash(tool: &str, args: &Value) -> ContentHash {
    // No tool's name has a space in it.
    ContentHash::of(format!("{tool} {}", canonical(args)).as_bytes())
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_text_and_one_byte_makes_another_hash() {
        let one: Value = serde_json::from_str(r#"{"b":[1,{"d":null,"c":"ä\n"}],"a":1.5}"#).unwrap();
        let same: Value = serde_json::from_str(r#" {"a":1.5, "b":[1, {"c":"\u00e4\n","d":null}]} "#).unwrap();
        assert_eq!(canonical(&one), r#"{"a":1.5,"b":[1,{"c":"ä\n","d":null}]}"#);
        assert_eq!(action_hash("t", &one), action_hash("t", &same));
        assert_ne!(action_hash("t", &one), action_hash("u", &one));
        assert_ne!(action_hash("t", &Value::from("a")), action_hash("t", &Value::from("b")));
    }
}
