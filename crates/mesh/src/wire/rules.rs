//! What a kind's schema shows of the rules for wire types.
//!
//! bincode overflows the stack on a recursive type and spins on a collection of empty values, so such kinds
//! are refused when their actor is published, before any peer can send one.

use serde_json::Value;
use std::collections::BTreeSet;

/// Why a kind cannot be published. The author of the message's type has to change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// The name is not `area.verb_or_noun.vN`.
    #[error(transparent)]
    Name(#[from] mesh_proto::InvalidKind),
    /// The actor takes two messages under one name.
    #[error("kind {kind} is taken twice by one actor")]
    Twice {
        /// The name.
        kind: String,
    },
    /// The actor takes more kinds than a peer can be told.
    #[error("an actor takes at most {} kinds, not {kinds}", mesh_proto::frame::KINDS_MAX)]
    TooMany {
        /// How many it takes.
        kinds: usize,
    },
    /// The type contains itself, so that a peer could nest it until the stack overflows.
    #[error("kind {kind} is recursive through {through}, which no wire type may be")]
    Recursive {
        /// The name.
        kind: String,
        /// The part that contains itself.
        through: String,
    },
    /// A collection holds values that take no bytes, so that a peer could claim 2^32 of them.
    #[error("kind {kind} has a collection of empty values, which no wire type may have")]
    Empty {
        /// The name.
        kind: String,
    },
    /// A field may hold anything (`serde_json::Value`), which only a self-describing format can carry.
    #[error("kind {kind} has a field that may hold anything; carry it as a string of JSON")]
    Anything {
        /// The name.
        kind: String,
    },
}

/// Checks a kind's name and schema.
pub(crate) fn check(kind: &str, schema: &Value) -> Result<(), KindError> {
    kind.parse::<mesh_proto::Kind>()?;
    let mut walk = Walk { kind, root: schema, open: BTreeSet::new(), done: BTreeSet::new() };
    walk.schema(schema)
}

struct Walk<'a> {
    kind: &'a str,
    root: &'a Value,
    /// Definitions that we are inside of.
    open: BTreeSet<&'a str>,
    done: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Value) -> Result<(), KindError> {
        let Value::Object(object) = schema else {
            return if *schema == Value::Bool(true) { Err(self.anything()) } else { Ok(()) };
        };
        if let Some(Value::String(target)) = object.get("$ref") {
            self.reference(target)?;
        }
        for key in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            for part in object.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.schema(part)?;
            }
        }
        for part in
            object.get("properties").and_then(Value::as_object).into_iter().flat_map(|all| all.values())
        {
            self.schema(part)?;
        }
        for key in ["items", "additionalProperties"] {
            if let Some(element) =
                object.get(key).filter(|element| element.is_object() || **element == Value::Bool(true))
            {
                if self.is_empty(element) {
                    return Err(KindError::Empty { kind: self.kind.to_owned() });
                }
                self.schema(element)?;
            }
        }
        Ok(())
    }

    fn reference(&mut self, target: &'a str) -> Result<(), KindError> {
        if self.open.contains(target) || target == "#" {
            let through = target.rsplit('/').next().unwrap_or(target).to_owned();
            return Err(KindError::Recursive { kind: self.kind.to_owned(), through });
        }
        if self.done.contains(target) {
            return Ok(());
        }
        if let Some(definition) = self.resolve(target) {
            self.open.insert(target);
            self.schema(definition)?;
            self.open.remove(target);
        }
        self.done.insert(target);
        Ok(())
    }

    fn resolve(&self, target: &str) -> Option<&'a Value> {
        self.root.pointer(target.strip_prefix('#')?)
    }

    /// Whether a value of this schema takes no bytes: a unit, or a struct of nothing.
    fn is_empty(&self, schema: &'a Value) -> bool {
        let resolved = schema.get("$ref").and_then(Value::as_str).and_then(|target| self.resolve(target));
        let schema = resolved.unwrap_or(schema);
        match schema.get("type").and_then(Value::as_str) {
            Some("null") => true,
            Some("object") => {
                let properties = schema.get("properties").and_then(Value::as_object);
                !schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false))
                    && properties.is_none_or(|all| all.values().all(|part| self.is_empty(part)))
            }
            Some("array") => schema.get("maxItems").and_then(Value::as_u64) == Some(0),
            _ => false,
        }
    }

    fn anything(&self) -> KindError {
        KindError::Anything { kind: self.kind.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    #![expect(dead_code, reason = "the types stand for their schemas")]

    use super::*;
    use schemars::{JsonSchema, schema_for};

    fn checked<T: JsonSchema>() -> Result<(), KindError> {
        check("test.kind.v1", schema_for!(T).as_value())
    }

    #[derive(JsonSchema)]
    struct Plain {
        text: String,
        many: Vec<Option<u32>>,
        pairs: std::collections::BTreeMap<String, Vec<u8>>,
        choice: Choice,
        nothing: (),
    }

    #[derive(JsonSchema)]
    enum Choice {
        One,
        Two { left: Leaf, right: Leaf },
        Three(u8, Leaf),
    }

    #[derive(JsonSchema)]
    struct Leaf {
        value: f64,
    }

    #[derive(JsonSchema)]
    struct Tree {
        children: Vec<Self>,
    }

    #[derive(JsonSchema)]
    struct Indirect {
        tree: Option<Box<Chain>>,
    }

    #[derive(JsonSchema)]
    struct Chain {
        next: Option<Box<Self>>,
    }

    #[derive(JsonSchema)]
    struct Nothing {}

    #[derive(JsonSchema)]
    struct Units {
        claims: Vec<()>,
    }

    #[derive(JsonSchema)]
    struct Empties {
        claims: Vec<Nothing>,
    }

    #[derive(JsonSchema)]
    struct Dynamic {
        value: Value,
    }

    #[test]
    fn plain_types_pass() {
        assert_eq!(checked::<Plain>(), Ok(()));
        assert_eq!(checked::<(String, u64)>(), Ok(()));
    }

    #[test]
    fn a_recursive_type_is_refused_before_it_can_overflow_the_stack() {
        assert!(matches!(checked::<Tree>(), Err(KindError::Recursive { .. })));
        let through = checked::<Indirect>();
        assert!(
            matches!(&through, Err(KindError::Recursive { through, .. }) if through == "Chain"),
            "{through:?}"
        );
    }

    #[test]
    fn a_collection_of_empty_values_is_refused_before_it_can_spin() {
        assert!(matches!(checked::<Units>(), Err(KindError::Empty { .. })));
        assert!(matches!(checked::<Empties>(), Err(KindError::Empty { .. })));
    }

    #[test]
    fn a_field_that_may_hold_anything_is_refused() {
        assert!(matches!(checked::<Dynamic>(), Err(KindError::Anything { .. })));
    }

    #[test]
    fn a_kind_without_a_version_is_refused() {
        assert!(matches!(check("echo", &Value::Null), Err(KindError::Name(_))));
    }
}
