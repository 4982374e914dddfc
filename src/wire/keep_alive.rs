//! The `Keep-Alive` header of an answer: how long its sender keeps an idle connection (RFC 2068,
//! section 19.7.1.1).
//!
//! It is a hint by which a connection is given up before the other side closes it, so that no
//! request meets a closing connection. Invariants: linear in the header; what cannot be read says
//! nothing.

use super::{head::Fields, name::Name};

/// The idle time that the header promises, in seconds; 0 if no further message is taken.
pub fn idle_s(head: &[u8], fields: &Fields) -> Option<u32> {
    let parameters = fields
        .of_kind(Name::KeepAlive)
        .flat_map(|field| field.value.of(head).split(|b| *b == b',').map(<[u8]>::trim_ascii));
    let mut idle = None;
    for parameter in parameters {
        if let Some(timeout) = number(parameter, b"timeout=") {
            idle = Some(idle.unwrap_or(timeout).min(timeout));
        }
        if number(parameter, b"max=") == Some(0) {
            idle = Some(0);
        }
    }
    idle
}

fn number(parameter: &[u8], name: &[u8]) -> Option<u32> {
    let (before, value) = parameter.split_at_checked(name.len())?;
    let digits = before.eq_ignore_ascii_case(name) && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_response;

    #[test]
    fn the_idle_time_is_read_and_what_is_no_number_ignored() {
        for (value, idle) in [
            ("timeout=5", Some(5)),
            ("timeout=5, max=100", Some(5)),
            ("max=100,TIMEOUT=7", Some(7)),
            ("timeout=0", Some(0)),
            ("timeout=9, max=0", Some(0)),
            ("timeout=9, timeout=3", Some(3)),
            ("timeout", None),
            ("timeout=", None),
            ("timeout=-1", None),
            ("timeout=5s", None),
            ("timeout=99999999999", None),
            ("timeoutx=5", None),
            ("", None),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\n\r\n");
            let mut fields = Fields::default();
            parse_response(head.as_bytes(), &mut fields).unwrap();
            assert_eq!(idle_s(head.as_bytes(), &fields), idle, "{value}");
        }
    }
}
