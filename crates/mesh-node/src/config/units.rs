//! How durations, sizes and addresses are written.

pub(crate) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        humantime::format_duration(*value).to_string().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }

    pub(crate) fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text)
            .map_err(|_| format!("{text:?} is not a duration, such as \"250ms\" or \"10s\""))
    }
}

pub(crate) mod duration_or_default {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::duration::deserialize(deserializer).map(Some)
    }
}

pub(crate) mod size_or_default {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(format).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map(Some).map_err(D::Error::custom)
    }

    const UNITS: [(&str, u32); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

    pub(crate) fn parse(text: &str) -> Result<u32, String> {
        let wrong = || format!("{text:?} is not a size, such as \"64KiB\" or \"4MiB\", below 4GiB");
        let split = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
        let (number, unit) = split.ok_or_else(wrong)?;
        let number: u32 = number.trim_end().parse().map_err(|_| wrong())?;
        number.checked_mul(unit).ok_or_else(wrong)
    }

    pub(crate) fn format(bytes: u32) -> String {
        let (unit, size) = UNITS
            .into_iter()
            .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
            .unwrap_or(("B", 1));
        format!("{}{unit}", bytes / size)
    }
}

pub(crate) mod address {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|value| value.to_string()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |_| D::Error::custom(format!("{text:?} is not IP:PORT, for example 127.0.0.1:7946"));
        text.parse().map(Some).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::size_or_default::{format, parse};

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(parse("4MiB"), Ok(4 << 20));
        assert_eq!(parse("64 KiB"), Ok(64 << 10));
        assert_eq!(parse("512B"), Ok(512));
        for wrong in ["", "4", "MiB", "4MB", "-1KiB", "1.5MiB", "4GiB", "99999999999B"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_written_in_its_largest_whole_unit() {
        for text in ["4MiB", "1GiB", "1025B", "3KiB", "0B"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        assert!(super::duration::parse("250ms").is_ok());
        for wrong in ["", "250", "soon", "-1s"] {
            assert!(super::duration::parse(wrong).is_err(), "{wrong}");
        }
    }
}
