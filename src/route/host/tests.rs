//! Hosts: a table of spellings and what each is read as, and properties that hold for any bytes.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Result<String, HostError> {
    Host::parse(text.as_bytes()).map(|host| host.to_string())
}

#[test]
fn spellings_are_read_as_their_normal_form() {
    let long_label = "a".repeat(63);
    let longest = format!("{long_label}.{long_label}.{long_label}.{}", "b".repeat(61));
    assert_eq!(longest.len(), MAX_HOST);
    let cases = [
        ("a.test", "a.test"),
        ("localhost", "localhost"),
        ("WWW.A.Test", "www.a.test"),
        ("a.test:8080", "a.test"),
        ("a.test:", "a.test"),
        ("a.test:0", "a.test"),
        ("a.test:00080", "a.test"),
        ("a.test:65535", "a.test"),
        ("a.test.", "a.test"),
        ("A.test.:443", "a.test"),
        ("_dmarc.a_b.test", "_dmarc.a_b.test"),
        ("-a-.test", "-a-.test"),
        ("r3---sn.test", "r3---sn.test"),
        ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:5000", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("[::1]:", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[2001:DB8:0::0001]", "[2001:db8::1]"),
        ("[::FFFF:1.2.3.4]", "[::ffff:1.2.3.4]"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test:80", "xn--bcher-kva.test"),
        ("bu\u{308}cher.test", "xn--bcher-kva.test"),
        ("XN--bcher-KVA.test", "xn--bcher-kva.test"),
        ("straße.test", "xn--strae-oqa.test"),
        ("\u{ff41}.test", "a.test"),
        ("a\u{3002}test", "a.test"),
        ("a\u{ad}b.test", "ab.test"),
        ("bücher.test.", "xn--bcher-kva.test"),
        ("☃.test", "xn--n3h.test"),
        (&longest, &longest),
    ];
    for (spelling, normal) in cases {
        assert_eq!(parsed(spelling).as_deref(), Ok(normal), "{spelling}");
    }
    assert_eq!(parsed(&format!("{longest}.")), Ok(longest.clone()), "the last dot is not counted");
    assert_eq!(parsed(&format!("{longest}.:80")), Ok(longest));
}

#[test]
fn what_is_no_host_is_refused_with_its_reason() {
    use HostError::*;
    let long_label = format!("{}.test", "a".repeat(64));
    let long_host = vec!["abcdefg"; 32].join(".");
    let long_spelling = "ü".repeat(MAX_SPELLING);
    let long_international = format!("{}.test", vec!["büch"; 50].join("."));
    let cases = [
        ("", Empty),
        (":80", Empty),
        (".", Syntax),
        ("..", Syntax),
        (".a.test", Syntax),
        ("a..test", Syntax),
        ("a.test..", Syntax),
        ("a test", Syntax),
        (" a.test", Syntax),
        ("a.test ", Syntax),
        ("a.test\r", Syntax),
        ("a\0.test", Syntax),
        ("a\t.test", Syntax),
        ("user@a.test", Syntax),
        ("a%2etest", Syntax),
        ("a/b", Syntax),
        ("a.test/", Syntax),
        ("a?b", Syntax),
        ("a#b", Syntax),
        ("a,b", Syntax),
        ("a.test:x", Port),
        ("a.test:+80", Port),
        ("a.test:-1", Port),
        ("a.test: 80", Port),
        ("a.test:65536", Port),
        ("a.test:99999999999999999999", Port),
        ("a.test:80:80", Port),
        ("fe80::1", Port),
        ("a.test:8ü", Port),
        ("bücher.test:x", Port),
        ("[::1", Syntax),
        ("[]", Syntax),
        ("[::1]x", Syntax),
        ("[::1].", Syntax),
        ("[::1]:x", Port),
        ("[fe80::1%eth0]", Syntax),
        ("[1.2.3.4]", Syntax),
        ("[v1.a]", Syntax),
        ("a[::1]", Syntax),
        ("\u{2100}.test", Syntax),
        ("a\u{ff0f}b.test", Syntax),
        ("a\u{ff1a}80", Syntax),
        ("a\u{ff20}b.test", Syntax),
        ("ü..test", Syntax),
        ("ü b.test", Syntax),
        ("xn--a.ü\u{200b}xn--\u{fffd}", Syntax),
        ("*", Wildcard),
        ("*.a.test", Wildcard),
        ("a.*.test", Wildcard),
        ("ü*.test", Wildcard),
        (&long_label, TooLong),
        (&long_host, TooLong),
        (&long_spelling, TooLong),
        (&long_international, TooLong),
    ];
    for (spelling, reason) in cases {
        assert_eq!(parsed(spelling), Err(reason), "{spelling:?}");
    }
    assert_eq!(Host::parse(b"b\xfccher.test"), Err(Syntax), "Latin-1 is not guessed at");
}

#[test]
fn the_port_is_handed_out() {
    let port = |text: &str| Host::parse_with_port(text.as_bytes()).map(|(_, port)| port);
    assert_eq!(port("a.test"), Ok(None));
    assert_eq!(port("a.test:"), Ok(None));
    assert_eq!(port("a.test:8080"), Ok(Some(8080)));
    assert_eq!(port("[::1]:65535"), Ok(Some(65535)));
    assert_eq!(port("ü.test:1"), Ok(Some(1)));
}

#[test]
fn patterns_are_a_host_or_a_wildcard_before_one() {
    let pattern = |text: &str| HostPattern::parse(text).map(|p| p.to_string());
    let normal = [
        ("A.test", "a.test"),
        ("*.A.test.", "*.a.test"),
        ("*.test", "*.test"),
        ("*.bücher.test", "*.xn--bcher-kva.test"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("*.1a", "*.1a"),
    ];
    for (text, expected) in normal {
        assert_eq!(pattern(text).as_deref(), Ok(expected), "{text}");
    }
    let wildcards =
        ["*", "**.a.test", "*a.test", "a*.test", "a.*", "*.*.test", "*.10.0.0.1", "*.1", "*.[::1]"];
    for text in wildcards {
        assert_eq!(pattern(text), Err(HostError::Wildcard), "{text}");
    }
    assert_eq!(pattern("*."), Err(HostError::Empty));
    let longest = vec!["a"; 127].join(".");
    assert!(HostPattern::parse(&longest).is_ok());
    assert_eq!(pattern(&format!("*.{longest}")), Err(HostError::TooLong), "matches nothing");
}

#[test]
fn a_host_takes_32_bytes_and_orders_as_its_text() {
    assert_eq!(size_of::<Host>(), 32);
    let mut names = ["b".to_owned(), "a".repeat(30), "a".repeat(31), "a".repeat(29), "a".into()];
    let mut hosts: Vec<Host> = names.iter().map(|n| Host::parse(n.as_bytes()).unwrap()).collect();
    names.sort();
    hosts.sort();
    assert!(hosts.iter().map(Host::as_str).eq(names.iter().map(String::as_str)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_a_normal_host_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        if let Ok(host) = Host::parse(&bytes) {
            prop_assert_eq!(Host::parse(host.as_bytes()), Ok(host.clone()));
        }
    }

    #[test]
    fn any_text_is_a_normal_host_or_an_error(text in "[a-zA-Z0-9.:*ÜßσςΣ\\-_\\[\\]。Ａ☃]{0,50}") {
        if let Ok(host) = Host::parse(text.as_bytes()) {
            prop_assert_eq!(Host::parse(host.as_bytes()), Ok(host.clone()));
            prop_assert_eq!(host.as_str().as_bytes(), host.as_bytes());
            prop_assert!((1..=MAX_HOST).contains(&host.as_str().len()));
            prop_assert!(!host.as_bytes().iter().any(u8::is_ascii_uppercase));
        }
    }

    #[test]
    fn case_port_and_last_dot_make_no_difference(
        name in "[a-z0-9]([a-z0-9_-]{0,20}\\.){0,6}[a-z0-9]{1,9}",
    ) {
        let host = Host::parse(name.as_bytes());
        let other = format!("{}.:8080", name.to_ascii_uppercase());
        prop_assert_eq!(Host::parse(other.as_bytes()), host);
    }
}
