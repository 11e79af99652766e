//! What of arguments may be kept: everything but secrets.

use serde_json::Value;

/// Parts of names whose values are nobody's business.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "authorization",
    "credential",
    "cookie",
    "privatekey",
    "accesskey",
    "bearer",
];

/// How values begin that are secrets wherever they stand.
const SECRET_PREFIXES: [&str; 8] =
    ["sk-", "mesh1-", "Bearer ", "Basic ", "ghp_", "xoxb-", "AKIA", "-----BEGIN"];

const HIDDEN: &str = "***";

/// The value without its secrets.
pub(super) fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => redacted_text(text).into(),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let value = if is_secret_name(name) { HIDDEN.into() } else { redacted(value) };
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        plain => plain.clone(),
    }
}

fn is_secret_name(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    SECRET_NAMES.iter().any(|secret| plain.contains(secret))
}

/// Words that look like secrets, and what stands before the host of a URL, are hidden.
fn redacted_text(text: &str) -> String {
    if SECRET_PREFIXES.iter().any(|prefix| text.contains(prefix)) {
        return HIDDEN.to_owned();
    }
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            match rest[..host_end].rfind('@') {
                Some(at) => format!("{scheme}://{HIDDEN}{}", &rest[at..]),
                None => text.to_owned(),
            }
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_called_or_looks_like_a_secret_is_hidden() {
        let args = json!({
            "path": "a.txt", "apiKey": "x", "nested": {"user_password": ["a"], "n": 1},
            "headers": ["Bearer abc", "text/html"], "url": "https://me:pw@host.example/a@b", "note": "say sk-123",
        });
        let kept = json!({
            "path": "a.txt", "apiKey": "***", "nested": {"user_password": "***", "n": 1},
            "headers": ["***", "text/html"], "url": "https://***@host.example/a@b", "note": "***",
        });
        assert_eq!(redacted(&args), kept);
    }
}
