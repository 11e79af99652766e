//! Which metadata fit.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// A condition on metadata.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Field(String, Test),
}

/// A condition on one value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Eq(Value),
    Ne(Value),
    Order(Value, &'static [Ordering]),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Contains(Value),
    Exists(bool),
}

impl Filter {
    /// Reads a filter; the empty text is the one that everything fits.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::All(Vec::new()));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("the filter is no JSON: {error}"))?;
        Self::of(&value)
    }

    fn of(value: &Value) -> Result<Self, String> {
        let Value::Object(fields) = value else { return Err("a filter is a JSON object".to_owned()) };
        let parts = fields.iter().map(|(key, value)| match key.as_str() {
            "$and" => list(key, value).map(Self::All),
            "$or" => list(key, value).map(Self::Any),
            "$not" => Self::of(value).map(|filter| Self::Not(Box::new(filter))),
            key if key.starts_with('$') => {
                Err(format!("{key} is no operator here; there are $and, $or and $not"))
            }
            key => tests(key, value),
        });
        parts.collect::<Result<_, _>>().map(Self::All)
    }

    pub(super) fn fits(&self, metadata: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.fits(metadata)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(metadata)),
            Self::Not(part) => !part.fits(metadata),
            Self::Field(path, test) => test.fits(find(metadata, path)),
        }
    }
}

fn list(key: &str, value: &Value) -> Result<Vec<Filter>, String> {
    let Value::Array(parts) = value else { return Err(format!("{key} has a list of filters")) };
    parts.iter().map(Filter::of).collect()
}

/// An object of operators, or a value that is to be equal.
fn tests(path: &str, value: &Value) -> Result<Filter, String> {
    let field = |test| Filter::Field(path.to_owned(), test);
    match value {
        Value::Object(operators) if operators.keys().any(|key| key.starts_with('$')) => {
            let tests = operators.iter().map(|(name, value)| test(name, value).map(field));
            tests.collect::<Result<_, _>>().map(Filter::All)
        }
        value => Ok(field(Test::Eq(value.clone()))),
    }
}

fn test(name: &str, value: &Value) -> Result<Test, String> {
    let list = || value.as_array().cloned().ok_or_else(|| format!("{name} has a list"));
    let value = || value.clone();
    Ok(match name {
        "$eq" => Test::Eq(value()),
        "$ne" => Test::Ne(value()),
        "$gt" => Test::Order(value(), &[Ordering::Greater]),
        "$gte" => Test::Order(value(), &[Ordering::Greater, Ordering::Equal]),
        "$lt" => Test::Order(value(), &[Ordering::Less]),
        "$lte" => Test::Order(value(), &[Ordering::Less, Ordering::Equal]),
        "$in" => Test::In(list()?),
        "$nin" => Test::NotIn(list()?),
        "$contains" => Test::Contains(value()),
        "$exists" => Test::Exists(value().as_bool().ok_or("$exists is true or false")?),
        _ => {
            return Err(format!(
                "{name} is no operator; there are $eq $ne $gt $gte $lt $lte $in $nin $contains $exists"
            ));
        }
    })
}

/// The value at a path; a key that itself has the dots comes first.
fn find<'v>(metadata: &'v Value, path: &str) -> Option<&'v Value> {
    let object: &Map<String, Value> = metadata.as_object()?;
    object.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        find(object.get(first)?, rest)
    })
}

impl Test {
    fn fits(&self, found: Option<&Value>) -> bool {
        match self {
            Self::Eq(wanted) => found.is_some_and(|value| is_equal(value, wanted)),
            Self::Ne(wanted) => !found.is_some_and(|value| is_equal(value, wanted)),
            Self::Order(to, wanted) => {
                found.and_then(|value| order(value, to)).is_some_and(|order| wanted.contains(&order))
            }
            Self::In(all) => found.is_some_and(|value| all.iter().any(|one| is_equal(value, one))),
            Self::NotIn(all) => !found.is_some_and(|value| all.iter().any(|one| is_equal(value, one))),
            Self::Contains(part) => match (found, part) {
                (Some(Value::Array(items)), part) => items.iter().any(|item| is_equal(item, part)),
                (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
                _ => false,
            },
            Self::Exists(wanted) => found.is_some() == *wanted,
        }
    }
}

/// 1 and 1.0 are the same number.
fn is_equal(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && order(a, b) == Some(Ordering::Equal))
}

/// Numbers and texts have an order, each among themselves.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Filter;

    #[test]
    fn operators_mean_what_they_say() {
        let metadata = json!({"topic": "tides", "year": 2024, "tags": ["sea", 1], "by": {"name": "ann"}, "a.b": 1, "nil": null});
        for (filter, fits) in [
            ("", true),
            ("{}", true),
            (r#"{"topic": "tides", "year": 2024.0}"#, true),
            (r#"{"topic": "tides", "year": 2023}"#, false),
            (r#"{"year": {"$gte": 2024, "$lt": 2025}}"#, true),
            (r#"{"year": {"$gt": 2024}}"#, false),
            (r#"{"year": {"$gt": "2020"}}"#, false),
            (r#"{"topic": {"$in": ["ebb", "tides"]}}"#, true),
            (r#"{"topic": {"$nin": ["ebb", "tides"]}}"#, false),
            (r#"{"missing": {"$ne": 1}}"#, true),
            (r#"{"missing": {"$exists": false}, "nil": {"$exists": true}}"#, true),
            (r#"{"tags": {"$contains": 1}, "topic": {"$contains": "ide"}}"#, true),
            (r#"{"tags": {"$contains": "s"}}"#, false),
            (r#"{"by.name": "ann", "a.b": 1, "by": {"name": "ann"}}"#, true),
            (r#"{"$or": [{"year": 1}, {"topic": "tides"}], "$not": {"year": 1}}"#, true),
            (r#"{"$and": [{"year": 2024}, {"topic": "ebb"}]}"#, false),
        ] {
            assert_eq!(Filter::read(filter).unwrap().fits(&metadata), fits, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_and_not_ignored() {
        for bad in [
            "[]",
            "{",
            r#"{"$where": 1}"#,
            r#"{"a": {"$regex": "x"}}"#,
            r#"{"a": {"$in": 1}}"#,
            r#"{"$or": {}}"#,
            r#"{"a": {"$exists": 1}}"#,
        ] {
            assert!(Filter::read(bad).is_err(), "{bad}");
        }
    }
}
