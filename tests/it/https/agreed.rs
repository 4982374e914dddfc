//! What both sides agree on: the version, the exchange of keys, and what is spoken inside.
//!
//! Invariant: what one side does not offer is not agreed on; whoever offers nothing common is told.

use std::net::TcpStream;

use super::Https;
use crate::harness::{Authority, Named};

#[test]
fn curl_speaks_both_versions_and_keeps_its_connection() {
    let (authority, dyno) = (Authority::new("ours"), Named::start("one"));
    let https = Https::proven(&authority.issue("a", &["a.test"]), &[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    let (ca, shown) = (authority.ca(), "%{http_code} %{num_connects},");
    for (version, name) in [("1.2", "tls1.2"), ("1.3", "tls1.3")] {
        let url = format!("https://a.test:{}/again", https.addr.port());
        let arguments = ["--cacert", &ca, "--tls-max", version, "-w", shown, "-o", "/dev/null"];
        let more = ["-o", "/dev/null", &url];
        let seen = https.curl("a.test", &[&arguments[..], &more].concat());
        assert_eq!(seen, "200 1,200 0,");
        let lines = https.router.log.wait_for_many(&format!("tls=true tls_version={name}"), 2);
        assert!(lines[0].contains("protocol=http1.1"), "{lines:?}");
    }
    https.counts("hostler_tls_handshakes_total{kind=\"full\"}", 2);
}

/// No program at hand knows this exchange, so the library's client has to do.
#[test]
fn keys_may_be_exchanged_in_the_way_that_outlives_quantum_computers() {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let authority = Authority::new("ours");
    let https = Https::proven(&authority.issue("a", &["a.test"]), &[]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.ca()).unwrap()).unwrap();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // A client that offers the classic exchange as well, but sends its share for this one.
    provider.kx_groups = vec![
        rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768,
        rustls::crypto::aws_lc_rs::kx_group::X25519,
    ];
    let config = rustls::ClientConfig::builder_with_provider(provider.into());
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = "a.test".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut conn = TcpStream::connect(https.addr).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut conn).unwrap();
    }
    let group = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

#[test]
fn a_version_that_is_too_old_is_refused() {
    let https = Https::with(&[("HOSTLER_HTTPS_MIN_VERSION", "1.3")]);
    let old = https.curling("a.test", &["-k", "--tls-max", "1.2"]).output().unwrap();
    assert_eq!(old.status.code(), Some(35), "{old:?}");
    https.counts_failed("version", 1);
    assert_eq!(https.curl("a.test", &["-k", "-w", "%{http_code}", "-o", "/dev/null"]), "404");
}

#[test]
fn http2_is_agreed_on_where_it_is_offered() {
    let (authority, dyno) = (Authority::new("ours"), Named::start("one"));
    let files = authority.issue("a", &["a.test"]);
    let ca = authority.ca();
    for (offered, shown) in [("true", "2 1,2 0,"), ("false", "1.1 1,1.1 0,")] {
        let https = Https::proven(&files, &[("HOSTLER_HTTPS_H2", offered)]);
        https.router.app("blog", "a.test", &[&dyno.addr]);
        let url = format!("https://a.test:{}/again", https.addr.port());
        let arguments = ["--http2", "--cacert", &ca, "-w", "%{http_version} %{num_connects},"];
        let more = ["-o", "/dev/null", "-o", "/dev/null", &url];
        assert_eq!(https.curl("a.test", &[&arguments[..], &more].concat()), shown);
        let protocol = if offered == "true" { "http2.0" } else { "http1.1" };
        https.router.log.wait_for_many(&format!("protocol={protocol} tls=true tls_version="), 2);
    }
}
