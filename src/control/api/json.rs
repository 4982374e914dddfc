//! JSON as the push API takes it: no object has a name twice.
//!
//! RFC 8259 (section 4) leaves to the reader which of the two counts, so that two programs may
//! take one text for different things. Invariant: what is read is what any other reader of the text
//! would read; a text nests at most as deep as `serde_json` lets it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, map::Entry};

/// Up to here a floating-point number stands for one whole number alone.
const EXACT: f64 = (1_u64 << 53) as f64;

/// Reads a text.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Once.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // 5.0 is the whole number 5 (JSON Schema 2020-12, section 6.1.1).
        let is_whole = value.fract() == 0.0 && value.abs() <= EXACT;
        Ok(if is_whole { (value as i64).into() } else { value.into() })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Once)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            match map.entry(name) {
                Entry::Vacant(place) => place.insert(fields.next_value_seed(Once)?),
                Entry::Occupied(place) => {
                    let name = place.key();
                    return Err(A::Error::custom(format_args!("{name:?} is there twice")));
                }
            };
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        for text in ["null", " {\"a\":[1,-2,3.5,\"é\\n\",true,null,{}],\"b\":18446744073709551615}"]
        {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text.as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, number) in [("83.0", 83), ("-2e1", -20), ("-0.0", 0)] {
            assert_eq!(parse(text.as_bytes()).unwrap(), Value::from(number), "{text}");
        }
        assert_eq!(parse(b"1e300").unwrap(), Value::from(1e300));
        assert_eq!(parse(b"0.5").unwrap(), Value::from(0.5));
    }

    #[test]
    fn a_name_that_is_there_twice_and_what_is_no_json_are_refused() {
        let twice = parse(b"{\"a\":{\"b\":1,\"\\u0062\":1}}").unwrap_err().to_string();
        assert!(twice.contains("\"b\" is there twice"), "{twice}");
        let deep = "[".repeat(100_000);
        for text in ["", "{", "1 2", "{\"a\":1,}", "NaN", "\"\\ud800\"", &deep] {
            assert!(parse(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
