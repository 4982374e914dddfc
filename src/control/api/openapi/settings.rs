//! The schema of an app's own settings, out of the table that declares them.
//!
//! Invariant: a value between its bounds is taken in each of its spellings, any other in none: the
//! bounds of numbers within texts are part of the patterns.

use serde_json::{Map, Value, json};

use crate::{
    control::own::{Read, SETTINGS},
    units,
};

/// Every setting by its name.
pub(super) fn schema() -> Value {
    let one = |setting: &crate::control::own::Setting| {
        let mut schema = of(&setting.read);
        schema["description"] = setting.doc.trim().into();
        (setting.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = SETTINGS.iter().map(one).collect();
    json!({
        "type": "object",
        "description": "Settings of the router that are others for an app.",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn of(read: &Read) -> Value {
    let numbers = |from: u64, to: u64, units: &[(&str, u64)]| {
        let text = format!("^({})$", spellings(from, to, units));
        json!({ "anyOf": [
            { "type": "integer", "minimum": from, "maximum": to },
            { "type": "string", "pattern": text },
        ] })
    };
    match read {
        Read::Switch(_) => json!({ "enum": [true, false, "true", "false"] }),
        Read::Count(range, _) => numbers(*range.start() as u64, *range.end() as u64, &[("", 1)]),
        Read::Count32(range, _) => {
            numbers(u64::from(*range.start()), u64::from(*range.end()), &[("", 1)])
        }
        Read::Size(range, _) => {
            let units = [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
            numbers(*range.start() as u64, *range.end() as u64, &units)
        }
        Read::Duration(range, _) => {
            let ms =
                |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let text = duration(ms(*range.start()), ms(*range.end()));
            json!({ "type": "string", "pattern": text })
        }
        Read::Word(words, _) => json!({ "enum": words }),
        Read::Text(kind, _) => {
            json!({ "type": "string", "pattern": kind.pattern, "maxLength": kind.most })
        }
        Read::Networks(_) => json!({ "anyOf": [
            { "type": "array", "maxItems": units::MAX_LIST, "uniqueItems": true,
              "items": { "type": "string", "format": "network" } },
            { "type": "string", "format": "network" },
        ] }),
    }
}

/// A pattern for a duration between two numbers of milliseconds.
pub(super) fn duration(from: u64, to: u64) -> String {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    format!("^({})$", spellings(from, to, &units))
}

/// A pattern for a number from `from` to `to`, in each unit of which there is a whole number.
fn spellings(from: u64, to: u64, units: &[(&str, u64)]) -> String {
    let in_unit = |(name, unit): &(&str, u64)| {
        let (least, most) = (from.div_ceil(*unit), to / unit);
        (least <= most).then(|| format!("({}){name}", numbers(least, most)))
    };
    units.iter().filter_map(in_unit).collect::<Vec<_>>().join("|")
}

/// A pattern for the whole numbers from `from` to `to`, without zeros before them.
fn numbers(from: u64, to: u64) -> String {
    let mut parts = Vec::new();
    let mut low = from;
    while low <= to {
        let digits = low.to_string().len() as u32;
        let high = to.min(10_u64.pow(digits) - 1);
        same_length(low.to_string().as_bytes(), high.to_string().as_bytes(), "", &mut parts);
        low = high + 1;
    }
    parts.join("|")
}

fn same_length(low: &[u8], high: &[u8], before: &str, parts: &mut Vec<String>) {
    let (Some((l, low)), Some((h, high))) = (low.split_first(), high.split_first()) else {
        return parts.push(before.into());
    };
    let is_whole = low.iter().all(|b| *b == b'0') && high.iter().all(|b| *b == b'9');
    if is_whole {
        let rest = "[0-9]".repeat(low.len());
        return parts.push(format!("{before}{}{rest}", one_of(*l, *h)));
    }
    if l == h {
        return same_length(low, high, &format!("{before}{}", *l as char), parts);
    }
    same_length(low, &vec![b'9'; low.len()], &format!("{before}{}", *l as char), parts);
    if h - l > 1 {
        let rest = "[0-9]".repeat(low.len());
        parts.push(format!("{before}{}{rest}", one_of(l + 1, h - 1)));
    }
    same_length(&vec![b'0'; high.len()], high, &format!("{before}{}", *h as char), parts);
}

fn one_of(low: u8, high: u8) -> String {
    let (low, high) = (char::from(low), char::from(high));
    if low == high { low.into() } else { format!("[{low}-{high}]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_numbers_covers_the_range() {
        assert_eq!(numbers(0, 100), "[0-9]|[1-9][0-9]|100");
        assert_eq!(numbers(7, 8), "[7-8]");
        assert_eq!(numbers(64, 101), "6[4-9]|[7-8][0-9]|9[0-9]|10[0-1]");
        assert_eq!(numbers(98, 250), "9[8-9]|1[0-9][0-9]|20[0-9]|2[1-4][0-9]|250");
        let units = [("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        assert_eq!(spellings(1, 120_000, &units[1..]), "([1-2])m");
        assert_eq!(spellings(1500, 5000, &units), "([2-5])s", "1s is too little, 1m too much");
    }
}
