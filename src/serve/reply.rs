//! The router's own answers: a fault becomes a response. Pure; the only place that knows error
//! pages.
//!
//! The form follows the client's Accept header (RFC 9110, section 12.5.1): HTML where it is asked
//! for by name, problem+json (RFC 9457) where JSON is, text for everything else.
//! Invariant: nothing that came from the network is repeated in an answer.

use crate::{
    error::Fault,
    wire::{
        head::Fields,
        name::Name,
        rewrite::{Persistence, number_line, status},
    },
};

/// What the client would like to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Plain text: for clients that say nothing, or anything.
    #[default]
    Text,
    /// A page.
    Html,
    /// `application/problem+json`.
    Json,
}

impl Format {
    /// Reads the Accept headers of a head: the first type in them that we can write.
    pub fn accepted(head: &[u8], fields: &Fields) -> Format {
        let types = fields.of_kind(Name::Accept).flat_map(|field| {
            field
                .value
                .of(head)
                .split(|b| *b == b',')
                .map(|item| item.split(|b| *b == b';').next().unwrap_or_default().trim_ascii())
        });
        for media_type in types {
            let is = |name: &str| media_type.eq_ignore_ascii_case(name.as_bytes());
            if is("text/html") || is("application/xhtml+xml") {
                return Format::Html;
            }
            let json = b"json";
            if media_type.len() > json.len()
                && media_type[media_type.len() - json.len()..].eq_ignore_ascii_case(json)
            {
                return Format::Json;
            }
            if is("text/plain") {
                return Format::Text;
            }
        }
        Format::Text
    }
}

/// What an answer needs to know besides its fault.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The form of the body.
    pub format: Format,
    /// How the client's connection goes on.
    pub persistence: Persistence,
    /// The request was a HEAD: no body.
    pub to_head: bool,
    /// The current date.
    pub date: &'a [u8],
    /// The router's name in `Via`.
    pub via: &'a str,
}

/// Writes the answer to a fault behind what `out` holds; answers how long its body is.
pub fn fault(fault: Fault, reply: &Reply<'_>, out: &mut Vec<u8>) -> usize {
    // 499 says in the log that the client left; there is nobody to send it to.
    debug_assert!(fault.status() != 499);
    let body = body(fault, reply.format);
    out.extend_from_slice(b"HTTP/1.1 ");
    status(out, fault.status());
    out.push(b' ');
    out.extend_from_slice(reason(fault.status()).as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(match reply.format {
        Format::Text => b"text/plain; charset=utf-8".as_slice(),
        Format::Html => b"text/html; charset=utf-8",
        Format::Json => b"application/problem+json",
    });
    out.extend_from_slice(b"\r\n");
    number_line(out, b"Content-Length", body.len() as u64);
    for (name, value) in [
        (&b"Hostler-Error"[..], fault.code().as_bytes()),
        (b"Cache-Control", b"no-store"),
        (b"Date", reply.date),
    ] {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Via: 1.1 ");
    out.extend_from_slice(reply.via.as_bytes());
    out.extend_from_slice(match reply.persistence {
        Persistence::Implied => b"\r\n\r\n".as_slice(),
        Persistence::Stated => b"\r\nConnection: keep-alive\r\n\r\n",
        Persistence::Close => b"\r\nConnection: close\r\n\r\n",
    });
    if reply.to_head {
        return 0;
    }
    out.extend_from_slice(body.as_bytes());
    body.len()
}

fn body(fault: Fault, format: Format) -> String {
    let (code, desc, status, hint) = (fault.code(), fault.desc(), fault.status(), hint(fault));
    match format {
        Format::Text => format!("{status} {desc} ({code})\n{hint}\n"),
        Format::Json => format!(
            "{{\"type\":\"about:blank\",\"title\":\"{desc}\",\"status\":{status},\
             \"detail\":\"{hint}\",\"code\":\"{code}\"}}\n"
        ),
        Format::Html => format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{desc}</title>\
             <style>body{{font:1.1em/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;\
             padding:0 1em;color:#333}}small{{color:#777}}</style></head>\
             <body><h1>{desc}</h1><p>{hint}</p><small>{status} &middot; {code}</small>\
             </body></html>\n"
        ),
    }
}

/// One sentence for whoever reads the answer. No quotes or markup: it goes into every format.
fn hint(fault: Fault) -> &'static str {
    match fault {
        Fault::UnknownHost => {
            "No app has this host. Check the address, or add the domain to an app."
        }
        Fault::Maintenance => "The app is being worked on and will be back soon.",
        Fault::NoDynos => "The app runs no dynos. Start one to serve requests.",
        Fault::AppCrashed => "The app has crashed. Its logs say why.",
        Fault::BootTimeout => "The app did not start in time.",
        Fault::RequestTimeout => "The app did not answer in time.",
        Fault::BadRequest => "The request breaks the rules of HTTP and was not passed on.",
        Fault::BadExpect => "Only the expectation 100-continue is known here.",
        Fault::BadChunk => "The chunked body of the request is malformed.",
        Fault::HeadTimeout => "The head of the request did not arrive in time.",
        Fault::RequestLineTooLong => "The request line is longer than the limit.",
        Fault::HeadersTooLarge => "A header, or all of them together, are larger than the limit.",
        Fault::MethodNotAllowed => "CONNECT and TRACE are not forwarded.",
        Fault::VersionNotSupported => "Speak HTTP/1.0 or HTTP/1.1.",
        Fault::Loop => "The request came through this router too often.",
        Fault::ForcedClose => "The router is being stopped. Try again.",
        Fault::BadResponse
        | Fault::OversizedHeader
        | Fault::OversizedCookie
        | Fault::OversizedStatusLine
        | Fault::InvalidContentLength => "The app sent an answer that cannot be passed on.",
        _ => "The app cannot be reached at the moment. Try again in a while.",
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Service Unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;

    fn format(accept: &str) -> Format {
        let head = format!("GET / HTTP/1.1\r\nAccept: {accept}\r\n\r\n");
        let mut fields = Fields::default();
        parse_request(head.as_bytes(), &mut fields).unwrap();
        Format::accepted(head.as_bytes(), &fields)
    }

    #[test]
    fn the_format_follows_accept() {
        assert_eq!(format("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Html);
        assert_eq!(format("application/json"), Format::Json);
        assert_eq!(format("application/problem+json;q=0.9, text/html;q=0.1"), Format::Json);
        assert_eq!(format("*/*"), Format::Text);
        assert_eq!(format("image/png, text/plain"), Format::Text);
    }

    #[test]
    fn every_fault_has_a_whole_answer_in_every_format() {
        for fault_kind in Fault::ALL.iter().filter(|fault| fault.status() != 499) {
            for format in [Format::Text, Format::Html, Format::Json] {
                let reply = Reply {
                    format,
                    persistence: Persistence::Implied,
                    to_head: false,
                    date: b"Thu, 01 Jan 1970 00:00:00 GMT",
                    via: "hostler",
                };
                let mut out = Vec::new();
                let len = fault(*fault_kind, &reply, &mut out);
                let text = String::from_utf8(out).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert_eq!(body.len(), len);
                assert!(head.contains(&format!("\r\nContent-Length: {len}\r\n")));
                assert!(head.contains(&format!("\r\nHostler-Error: {}\r\n", fault_kind.code())));
                if format == Format::Json {
                    let json: serde_json::Value = serde_json::from_str(body).unwrap();
                    assert_eq!(json["status"], fault_kind.status());
                }
            }
        }
    }
}
