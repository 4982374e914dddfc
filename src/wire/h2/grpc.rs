//! What a gRPC client is told of a fault: a status of its own kind, so that it sees UNAVAILABLE
//! and not an answer that it cannot read.
//!
//! The statuses are those that gRPC says stand for the ones of HTTP ("HTTP to gRPC Status Code
//! Mapping"). Invariant: a message is printable ASCII without `%`, so that nothing need be escaped.

use http::{HeaderMap, HeaderName, HeaderValue};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Is this the Content-Type of gRPC? That of gRPC-Web, which has its status in the body, is not.
pub fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The status that stands for one of HTTP.
fn status(http: u16) -> &'static str {
    match http {
        // INTERNAL
        400 => "13",
        // UNAUTHENTICATED
        401 => "16",
        // PERMISSION_DENIED
        403 => "7",
        // UNIMPLEMENTED
        404 => "12",
        // UNAVAILABLE
        429 | 502 | 503 | 504 => "14",
        // UNKNOWN
        _ => "2",
    }
}

/// Says the status for one of HTTP, and why.
pub fn tell(http: u16, why: &str, fields: &mut HeaderMap) {
    debug_assert!(why.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'%'));
    fields.insert(STATUS, HeaderValue::from_static(status(http)));
    if let Ok(why) = HeaderValue::from_str(why) {
        fields.insert(MESSAGE, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for is in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
            assert!(is_grpc(is.as_bytes()), "{is}");
        }
        for is_not in ["application/grpc-web", "application/grpc-web+proto", "text/html", ""] {
            assert!(!is_grpc(is_not.as_bytes()), "{is_not}");
        }
    }

    #[test]
    fn a_status_of_http_has_one_of_grpc() {
        for (http, grpc) in [(400, "13"), (403, "7"), (404, "12"), (503, "14"), (405, "2")] {
            let mut fields = HeaderMap::new();
            tell(http, "why", &mut fields);
            assert_eq!(
                (&fields[STATUS], &fields[MESSAGE]),
                (&HeaderValue::from_static(grpc), &HeaderValue::from_static("why"))
            );
        }
    }
}
