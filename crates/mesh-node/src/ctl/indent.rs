//! JSON for people.

/// The document over several lines, each level two spaces further in. Nothing else about it changes: neither the order
/// of its keys nor how a number is written.
pub(crate) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if is_string {
            text.push(c);
            is_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '{' | '[' => {
                text.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                match chars.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => text.push(end),
                    None => {
                        depth += 1;
                        line(&mut text, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                is_string = c == '"';
                text.push(c);
            }
        }
    }
    text
}

fn line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_indented_and_otherwise_unchanged() {
        let json = r#"{"text":"a, {b}: \"[c]\" \\","n":1.50,"none":{},"list":[1,[ ],{"z":null,"a":-0}]}"#;
        insta::assert_snapshot!(indented(json), @r#"
        {
          "text": "a, {b}: \"[c]\" \\",
          "n": 1.50,
          "none": {},
          "list": [
            1,
            [],
            {
              "z": null,
              "a": -0
            }
          ]
        }
        "#);
    }

    #[test]
    fn indenting_twice_changes_nothing() {
        let once = indented(r#"[{"a":[1,2,{"b":" x "}]},"y"]"#);
        assert_eq!(indented(&once), once);
        assert_eq!(indented("true"), "true");
    }
}
