//! The lines as documented, byte for byte, and what no line does.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::route::{
    DynoAddr, DynoName, HostPattern, OwnCapacity, OwnClientLimits, OwnSettings,
    certificate::tests::made,
};

fn name(text: &str) -> AppName {
    AppName::parse(text).unwrap()
}

fn blog(settings: AppSettings) -> String {
    Object::App(&name("blog"), &settings).line()
}

fn web(dyno: Dyno) -> String {
    Object::Dyno(&name("blog"), &dyno).line()
}

fn bare(addr: &str) -> Dyno {
    Dyno {
        name: DynoName::parse("web.1").unwrap(),
        addr: DynoAddr::parse(addr).unwrap(),
        release: "".into(),
        weight: DEFAULT_WEIGHT,
        state: DynoState::Up,
        ttl_s: None,
    }
}

fn route(host: &str, path: &str) -> String {
    set_route(host, path, RouteSettings::default())
}

fn set_route(host: &str, path: &str, settings: RouteSettings) -> String {
    let host = HostPattern::parse(host).unwrap();
    let key = RouteKey { host, path: PathPrefix::parse(path).unwrap() };
    Object::Route(&name("blog"), &key, settings).line()
}

#[test]
fn defaults_are_absent() {
    assert_eq!(blog(AppSettings::default()), r#"{"v":1,"kind":"app","name":"blog"}"#);
    assert_eq!(
        web(bare("10.0.0.1:5000")),
        r#"{"v":1,"kind":"dyno","app":"blog","name":"web.1","addr":"10.0.0.1:5000"}"#
    );
    assert_eq!(
        route("WWW.a.test", "/"),
        r#"{"v":1,"kind":"route","app":"blog","host":"www.a.test"}"#
    );
}

#[test]
fn an_address_and_a_weight_are_shown_as_everywhere_else() {
    for number in (0..=u16::MAX).filter(|n| *n < 1100 || n % 97 == 0 || *n > 65_500) {
        let (mut line, octet) = (String::new(), number as u8);
        digits(&mut line, number);
        assert_eq!(line, number.to_string());
        for addr in [format!("{octet}.0.10.255:{number}"), format!("[fd00::1]:{number}")] {
            let mut line = String::new();
            address(&mut line, &addr.parse().unwrap());
            assert_eq!(line, addr);
        }
    }
}

#[test]
fn a_certificate_says_what_is_public_of_it() {
    let leaf = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let named = r#"{"v":1,"kind":"cert","name":"www","hosts":["a.test","*.a.test"],"#;
    let times = r#""not_before_s":1700000000,"not_after_s":1800000000,"#;
    let key = format!(r#""key_kind":"ecdsa-p256","fingerprints":["{leaf}"]}}"#);
    let certificate = made("www", &["*.a.test", "a.test"], b"abc");
    assert_eq!(Object::Certificate(&certificate).line(), format!("{named}{times}{key}"));
}

#[test]
fn what_is_set_stands_in_one_order() {
    let own = OwnSettings {
        keep_alive_to_dynos: Some(false),
        capacity: OwnCapacity { max_in_flight: Some(0), ..Default::default() },
        idle: Some(Duration::from_millis(1250)),
        first_byte: Some(Duration::from_secs(60)),
        set_cookie: Some(16384),
        ..Default::default()
    };
    let page = Page { html: Some("<p>\"é\"</p>\n".into()), text: Some("".into()), json: None };
    let settings = AppSettings {
        maintenance: true,
        blank: true,
        is_router: true,
        protected: true,
        own: Some(own.into()),
        pages: Some(Arc::new(Pages { maintenance: page, ..Default::default() })),
    };
    let line = concat!(
        r#"{"v":1,"kind":"app","name":"blog","maintenance":true,"blank":true,"router":true,"#,
        r#""protected":true,"#,
        r#""settings":{"dynos.keep_alive":false,"dynos.max_in_flight":0,"#,
        r#""limits.set_cookie":16384,"timeouts.first_byte":"60s","timeouts.idle":"1250ms"},"#,
        r#""pages":{"maintenance":{"html":"<p>\"é\"</p>\n","text":""}}}"#
    );
    assert_eq!(blog(settings), line);
    let dyno = Dyno {
        release: "v\"1\\".into(),
        weight: 7,
        state: DynoState::Draining,
        ttl_s: Some(60),
        ..bare("unix:/run/a\"\u{7f}.sock")
    };
    let line = concat!(
        r#"{"v":1,"kind":"dyno","app":"blog","name":"web.1","addr":"unix:/run/a\""#,
        "\u{7f}",
        r#".sock","release":"v\"1\\","weight":7,"state":"draining","ttl_s":60}"#
    );
    assert_eq!(web(dyno), line);
    assert_eq!(
        route("*.a.test", "/api"),
        r#"{"v":1,"kind":"route","app":"blog","host":"*.a.test","path":"/api"}"#
    );
    assert_eq!(
        set_route("a.test", "/", RouteSettings { protected: true }),
        r#"{"v":1,"kind":"route","app":"blog","host":"a.test","protected":true}"#
    );
}

#[test]
fn settings_stand_by_their_names() {
    let clients = OwnClientLimits {
        rate: Some(5),
        deny: Some([("10.0.0.0".parse().unwrap(), 8), ("fd00::".parse().unwrap(), 8)].into()),
        client_header: Some("x-\"key".into()),
        ..OwnClientLimits::default()
    };
    let own = OwnSettings {
        idle: Some(Duration::ZERO),
        keep_alive_to_dynos: Some(true),
        set_cookie: Some(7),
        clients,
        ..OwnSettings::default()
    };
    assert!(own.named().is_sorted_by_key(|(name, _)| *name));
    let settings = AppSettings { own: Some(Arc::new(own)), ..AppSettings::default() };
    assert_eq!(
        blog(settings),
        concat!(
            r#"{"v":1,"kind":"app","name":"blog","settings":{"dynos.keep_alive":true,"#,
            r#""limits.client_header":"x-\"key","limits.deny":["10.0.0.0/8","fd00::/8"],"#,
            r#""limits.rate":5,"limits.set_cookie":7,"timeouts.idle":"0s"}}"#
        )
    );
}

proptest! {
    #[test]
    fn a_text_is_the_json_that_any_reader_reads(
        value in any::<String>(), controls in "[\\x00-\\x1f\"\\\\/]*",
    ) {
        for value in [value, controls] {
            let mut line = String::new();
            text(&mut line, &value);
            prop_assert_eq!(&line, &serde_json::to_string(&value).unwrap());
            prop_assert!(!line.contains('\n'));
        }
    }
}
