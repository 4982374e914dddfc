//! Is a rival set up like the others? Asked of each one, by each way that it takes clients.
//!
//! Invariants: whoever lacks a header, routes an unknown host, or does not keep its dyno
//! connections is refused, not measured.

use std::net::{IpAddr, SocketAddr};

use crate::answer::{MAX_HEADERS, header};
use crate::ask::get;
use crate::failure::Failure;
use crate::proxies::HOST;
use crate::rival::Rival;
use crate::scenario::Way;
use crate::secure::Certificate;

type Fits<'a> = &'a dyn Fn(&str) -> bool;

/// Asks for what the dyno received and refuses a proxy that leaves a feature out.
pub fn check(
    rival: Rival,
    way: Way,
    address: SocketAddr,
    certificate: &Certificate,
) -> Result<(), Failure> {
    let lacks = |lacks: String| Failure::Unequal {
        name: rival.name().into(),
        lacks: format!("{way:?}: {lacks}"),
    };
    let tls = certificate.client(way, false);
    let asked = get(address, (way, tls.as_ref()), HOST, "/echo")?;
    if asked.status != 200 {
        return Err(lacks(format!("status {} for {HOST}, not 200", asked.status)));
    }
    // Instead of a loopback address Envoy names one of the machine's own.
    let client = |text: &str| match rival {
        Rival::Envoy => text.parse::<IpAddr>().is_ok(),
        _ => text == "127.0.0.1",
    };
    check_received(&asked.body, way, address.port(), &client).map_err(lacks)?;
    if !way.is_h2() {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let is_whole = answer.parse(&asked.head).is_ok();
        if !is_whole || header(answer.headers, "Via").is_none() {
            return Err(lacks("its answers bear no Via".into()));
        }
    }
    // A name that the certificate does not cover may be refused as such over TLS.
    let expected: &[u16] = if way.is_tls() { &[404, 421, 0] } else { &[404] };
    let status = get(address, (way, tls.as_ref()), "nobody.test", "/")?.status;
    match expected.contains(&status) {
        true => Ok(()),
        false => Err(lacks(format!("status {status} for an unknown host, not 404"))),
    }
}

/// What is wrong with a request as the dyno received it.
fn check_received(bytes: &[u8], way: Way, port: u16, client: Fits<'_>) -> Result<(), String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut received = httparse::Request::new(&mut headers);
    if received.parse(bytes).is_err() {
        return Err("the dyno received no well-formed head".into());
    }
    let scheme = if way.is_tls() { "https" } else { "http" };
    let digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    // RFC 9110 lets Via name the version that the proxy received.
    let via = |text: &str| ["1.1 ", "2.0 ", "2 "].iter().any(|start| text.starts_with(start));
    let expected: [(&str, Fits<'_>); 7] = [
        ("X-Forwarded-For", client),
        ("X-Forwarded-Proto", &|text| text == scheme),
        ("X-Forwarded-Port", &|text| text == port.to_string()),
        ("X-Request-Id", &|text| text.len() >= 20),
        ("X-Request-Start", &digits),
        ("Via", &via),
        ("Host", &|text| text == HOST),
    ];
    for (name, fits) in expected {
        let value = header(received.headers, name);
        if !value.is_some_and(fits) {
            return Err(format!("the dyno received {name}: {value:?}"));
        }
    }
    match header(received.headers, "Connection").is_some_and(|text| text.contains("close")) {
        true => Err("it asks dynos to close their connections".into()),
        false => Ok(()),
    }
}
