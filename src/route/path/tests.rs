//! Paths: a table of normal forms, and a naive reading of the RFC to compare with.

use proptest::prelude::*;

use super::*;

fn normal(path: &str) -> String {
    String::from_utf8(normalise(path.as_bytes()).into_owned()).unwrap()
}

#[test]
fn paths_have_one_normal_form() {
    let cases = [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a//b/", "/a//b/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/..a/b..", "/..a/b.."),
        ("/...", "/..."),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a/../../../b", "/b"),
        ("/a//../b", "/a/b"),
        ("//../b", "/b"),
        ("/a/b/c/./../../g", "/a/g"),
        ("/%2e%2e/a", "/a"),
        ("/a/%2E./b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/..%2fb", "/a/..%2Fb"),
        ("/%61%7e%41", "/a~A"),
        ("/a%2fb%c3%bc", "/a%2Fb%C3%BC"),
        ("/%", "/%"),
        ("/%4", "/%4"),
        ("/%zz", "/%zz"),
        ("/%25%32%65", "/%252e"),
        ("/%%34%31", "/%41"),
        ("*", "*"),
        ("", ""),
        ("a/../b", "a/../b"),
    ];
    for (path, expected) in cases {
        assert_eq!(normal(path), expected, "{path}");
    }
}

#[test]
fn a_path_with_nothing_to_do_is_borrowed() {
    for path in ["/", "/a/b.html", "/a//b/", "*"] {
        assert!(matches!(normalise(path.as_bytes()), Cow::Borrowed(_)), "{path}");
    }
}

#[test]
fn prefixes_are_normalised_or_refused() {
    let cases = [
        ("/", Ok("/")),
        ("///", Ok("/")),
        ("/..", Ok("/")),
        ("/api", Ok("/api")),
        ("/api/", Ok("/api")),
        ("/a//b", Ok("/a//b")),
        ("/a/../b/", Ok("/b")),
        ("/%61%2f", Ok("/a%2F")),
        ("/a:@!$&'()*+,;=", Ok("/a:@!$&'()*+,;=")),
        ("", Err(PathError::Syntax)),
        ("api", Err(PathError::Syntax)),
        ("/a?b", Err(PathError::Syntax)),
        ("/a#b", Err(PathError::Syntax)),
        ("/a b", Err(PathError::Syntax)),
        ("/a\n", Err(PathError::Syntax)),
        ("/\u{7f}", Err(PathError::Syntax)),
        ("/ü", Err(PathError::Syntax)),
        ("/%", Err(PathError::Syntax)),
        ("/%4", Err(PathError::Syntax)),
        ("/%g0", Err(PathError::Syntax)),
    ];
    for (text, expected) in cases {
        let parsed = PathPrefix::parse(text);
        assert_eq!(parsed.as_ref().map(PathPrefix::as_str).map_err(|e| *e), expected, "{text:?}");
    }
    let longest = format!("/{}", "a".repeat(MAX_PREFIX - 1));
    assert_eq!(PathPrefix::parse(&longest).unwrap().as_str(), longest);
    assert_eq!(PathPrefix::parse(&format!("{longest}b")), Err(PathError::TooLong));
}

#[test]
fn a_prefix_matches_on_a_segment_border() {
    let api = PathPrefix::parse("/api").unwrap();
    for (path, expected) in [
        ("/api", true),
        ("/api/", true),
        ("/api/x", true),
        ("/api//", true),
        ("/apis", false),
        ("/ap", false),
        ("/x/api", false),
        ("/API", false),
        ("*", false),
    ] {
        assert_eq!(api.matches(path.as_bytes()), expected, "{path}");
        assert!(PathPrefix::ROOT.matches(path.as_bytes()));
    }
}

/// The text of RFC 3986 taken word for word: decode, then section 5.2.4 on a growing list.
fn by_the_book(path: &str) -> String {
    let mut decoded = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (unit, tail) = rest.split_at(if escaped(rest.as_bytes()).is_some() { 3 } else { 1 });
        match escaped(unit.as_bytes()).map(char::from) {
            Some(c) if c.is_ascii_alphanumeric() || "-._~".contains(c) => decoded.push(c),
            Some(_) => decoded.push_str(&unit.to_ascii_uppercase()),
            None => decoded.push_str(unit),
        }
        rest = tail;
    }
    let mut segments: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in decoded[1..].split('/') {
        directory = segment == "." || segment == "..";
        if segment == ".." {
            segments.pop();
        } else if segment != "." {
            segments.push(segment);
        }
    }
    let slash = if directory { "/" } else { "" };
    segments.iter().map(|s| format!("/{s}")).collect::<String>() + slash
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn normal_forms_agree_with_the_rfc(path in "/([a./]|%2[eEfF]|%41|%25|%){0,24}") {
        let normal = normal(&path);
        prop_assert_eq!(&normal, &by_the_book(&path));
        prop_assert!(normal.starts_with('/') && normal.len() <= path.len());
    }

    #[test]
    fn the_head_of_a_path_is_the_beginning_of_its_normal_form(
        lead in 1000usize..1030,
        tail in "(/|/a|/bb|/\\.|/\\.\\.|/%2e%2e|/%c3){0,24}",
    ) {
        let path = format!("/{}{tail}", "x".repeat(lead));
        let whole = normalise(path.as_bytes());
        let mut head = NormalHead::new(path.as_bytes());
        let expected = &whole[..whole.len().min(NORMAL_HEAD)];
        let got = head.get();
        prop_assert_eq!(&got[..got.len().min(NORMAL_HEAD)], expected);
    }
}
