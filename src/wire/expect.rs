//! The `Expect` header (RFC 9110, section 10.1.1): `100-continue`, or something that nobody meets.
//!
//! `Expect = #expectation`, `expectation = token [ "=" ( token / quoted-string ) parameters ]`.
//! Invariants: linear in the header; what breaks the grammar is told from what is only unknown;
//! empty elements of the list, and so an empty header, say nothing.

use super::{connection::is_tchar, head::Fields, name::Name, request::Refusal};

/// Do the `Expect` headers of a head ask for a 100?
pub fn is_continue_expected(head: &[u8], fields: &Fields) -> Result<bool, Refusal> {
    let mut verdict = Ok(false);
    for field in fields.of_kind(Name::Expect) {
        let mut rest = field.value.of(head).trim_ascii_start();
        while !rest.is_empty() {
            let (expectation, behind) = expectation(rest).ok_or(Refusal::Bad)?;
            if !expectation.is_empty() {
                let known = expectation.eq_ignore_ascii_case(b"100-continue");
                verdict = verdict.and(if known { Ok(true) } else { Err(Refusal::Expectation) });
            }
            rest = behind;
        }
    }
    verdict
}

/// The first expectation of a list, and what follows its comma; `None` if it is malformed.
fn expectation(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut rest, valued) = parameter(list)?;
    let mut len = list.len() - rest.len();
    rest = rest.trim_ascii_start();
    // Parameters go with a value alone.
    while let Some(parameters) = rest.strip_prefix(b";").filter(|_| valued) {
        let (behind, whole) = parameter(parameters.trim_ascii_start())?;
        if !whole && behind.len() < parameters.trim_ascii_start().len() {
            return None;
        }
        len = list.len() - behind.len();
        rest = behind.trim_ascii_start();
    }
    match rest {
        [] => Some((&list[..len], rest)),
        [b',', behind @ ..] => Some((&list[..len], behind.trim_ascii_start())),
        _ => None,
    }
}

/// Reads `[ token [ "=" ( token / quoted-string ) ] ]`; answers what follows it, and whether there
/// was a value.
fn parameter(text: &[u8]) -> Option<(&[u8], bool)> {
    let behind_token = |text: &[u8]| text.iter().position(|b| !is_tchar(*b)).unwrap_or(text.len());
    let rest = &text[behind_token(text)..];
    match rest {
        [b'=', value @ ..] if rest.len() < text.len() => {
            let behind = match value {
                [b'"', quoted @ ..] => behind_quote(quoted),
                _ => Some(behind_token(value)).filter(|len| *len > 0).map(|len| &value[len..]),
            };
            Some((behind?, true))
        }
        _ => Some((rest, false)),
    }
}

/// What follows a quoted string whose first quote is gone.
fn behind_quote(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })?;
    Some(&text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;

    fn read(lines: &str) -> Result<bool, Refusal> {
        let head = format!("GET / HTTP/1.1\r\n{lines}\r\n");
        let mut fields = Fields::default();
        parse_request(head.as_bytes(), &mut fields).unwrap();
        is_continue_expected(head.as_bytes(), &fields)
    }

    #[test]
    fn a_continue_is_read_from_a_list_without_case() {
        for lines in [
            "Expect: 100-continue\r\n",
            "expect:100-Continue\r\n",
            "Expect: , 100-continue ,\r\n",
            "Expect:\r\nExpect: 100-continue, 100-continue\r\n",
        ] {
            assert_eq!(read(lines), Ok(true), "{lines}");
        }
    }

    #[test]
    fn an_empty_header_expects_nothing() {
        for lines in ["", "Expect:\r\n", "Expect: ,\r\n", "Expect: , ,\r\nExpect:\r\n"] {
            assert_eq!(read(lines), Ok(false), "{lines}");
        }
    }

    #[test]
    fn another_expectation_is_unknown() {
        for value in [
            "100-stay",
            "100-continue, later",
            "a=b",
            "a=\"b,\\\"c\"",
            "a=b;c=d",
            "a=b; c=d;;e=\"f\" ;",
            "100-continue=1",
            "100-continue=1;q=1",
        ] {
            let read = read(&format!("Expect: {value}\r\n"));
            assert_eq!(read, Err(Refusal::Expectation), "{value}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_bad() {
        for value in [
            "a b",
            "=b",
            "a=",
            "\"a\"",
            "a=\"b",
            "a/b",
            "100-continue 100-continue",
            "(",
            "a; b = c",
            "a;=",
        ] {
            assert_eq!(read(&format!("Expect: {value}\r\n")), Err(Refusal::Bad), "{value}");
        }
    }
}
