//! The trailer section, as text and as a map.
//!
//! Invariant: what is written is a whole section, its empty line included; a name or value that
//! could end a line early is of no type that comes here.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::head::{Fields, parse_trailers};

/// Writes the last chunk and the trailers of a body.
pub fn write(trailers: Option<&HeaderMap>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Reads a whole section; nothing if it is none, or has no field.
pub fn read(section: &[u8], fields: &mut Fields) -> Option<HeaderMap> {
    parse_trailers(section, fields).ok()?;
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields.iter() {
        let name = HeaderName::from_bytes(field.name.of(section)).ok()?;
        let value = HeaderValue::from_bytes(field.value.of(section)).ok()?;
        trailers.append(name, value);
    }
    Some(trailers).filter(|trailers| !trailers.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        trailers.append("x-a", HeaderValue::from_static("1"));
        trailers.append("x-a", HeaderValue::from_static("2"));
        let mut text = Vec::new();
        write(Some(&trailers), &mut text);
        assert!(text.starts_with(b"0\r\ngrpc-status: 0\r\n"));
        assert_eq!(read(&text[3..], &mut Fields::default()), Some(trailers));
        text.clear();
        write(None, &mut text);
        assert_eq!(text, b"0\r\n\r\n");
        assert_eq!(read(b"\r\n", &mut Fields::default()), None);
    }
}
