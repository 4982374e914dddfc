//! Which certificate is chosen, of those that come and go.

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};

use super::*;
use crate::{route::CertName, tls::pushed};

const ALL: [SignatureScheme; 4] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
];
/// The end of 2020, and of 2040, in seconds since the Unix epoch.
const THEN_S: u64 = 1_609_459_200;
const NOW_S: u64 = 2_240_611_200;

fn made(
    name: &str,
    hosts: &[&str],
    algorithm: &'static SignatureAlgorithm,
    until: i32,
) -> Arc<Certificate> {
    within(name, hosts, algorithm, (1975, until))
}

fn within(
    name: &str,
    hosts: &[&str],
    algorithm: &'static SignatureAlgorithm,
    (from, until): (i32, i32),
) -> Arc<Certificate> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate_for(algorithm).unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    let name = CertName::parse(name).unwrap();
    Arc::new(pushed::certificate(name, &chain, &key.serialize_pem(), THEN_S).unwrap())
}

fn all(certificates: &[&Arc<Certificate>]) -> Certificates {
    let mut all = Certificates::default();
    certificates.iter().for_each(|certificate| all.put(certificate));
    all
}

/// The name of the certificate that is chosen.
fn chosen(all: &Certificates, host: &str, schemes: &[SignatureScheme], now_s: u64) -> String {
    match all.choose(host, schemes, now_s).map(|credential| &credential.source) {
        Some(Source::Pushed(certificate)) => certificate.name.to_string(),
        Some(Source::Files(_)) => "files".into(),
        None => "none".into(),
    }
}

#[test]
fn a_name_goes_before_its_wildcard_which_covers_one_label() {
    let own = made("own", &["b.a.test"], &PKCS_ECDSA_P256_SHA256, 2999);
    let wild = made("wild", &["*.a.test"], &PKCS_ECDSA_P256_SHA256, 2999);
    let mut both = all(&[&wild, &own]);
    for (host, expected) in
        [("b.a.test", "own"), ("c.a.test", "wild"), ("a.test", "none"), ("d.c.a.test", "none")]
    {
        assert_eq!(chosen(&both, host, &ALL, NOW_S), expected, "{host}");
        assert_eq!(both.cover(host), expected != "none", "{host}");
    }
    let before = both.clone();
    both.remove(&own);
    assert_eq!(chosen(&both, "b.a.test", &ALL, NOW_S), "wild");
    both.remove(&wild);
    assert!(!both.cover("b.a.test") && !both.cover(".a.test"));
    assert_eq!(chosen(&before, "b.a.test", &ALL, NOW_S), "own", "what was stays as it was");
}

#[test]
fn the_cheapest_that_the_client_can_check_is_chosen() {
    let kinds: [(&str, &SignatureAlgorithm, SignatureScheme); 4] = [
        ("p256", &PKCS_ECDSA_P256_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256),
        ("ed25519", &PKCS_ED25519, SignatureScheme::ED25519),
        ("p384", &PKCS_ECDSA_P384_SHA384, SignatureScheme::ECDSA_NISTP384_SHA384),
        ("rsa", &PKCS_RSA_SHA256, SignatureScheme::RSA_PSS_SHA256),
    ];
    let made = kinds.map(|(name, algorithm, _)| made(name, &["a.test"], algorithm, 2999));
    let all = all(&made.iter().rev().collect::<Vec<_>>());
    for (at, (name, _, scheme)) in kinds.iter().enumerate() {
        assert_eq!(chosen(&all, "a.test", &[*scheme], NOW_S), *name);
        let rest: Vec<_> = kinds[at..].iter().map(|(_, _, scheme)| *scheme).collect();
        assert_eq!(chosen(&all, "a.test", &rest, NOW_S), *name);
    }
    assert_eq!(chosen(&all, "a.test", &[SignatureScheme::ED448], NOW_S), "none");
}

#[test]
fn one_that_has_ended_is_chosen_last() {
    let ended = made("ended", &["a.test"], &PKCS_ECDSA_P256_SHA256, 2030);
    let longer = made("longer", &["a.test"], &PKCS_ECDSA_P256_SHA256, 2999);
    let wild = made("wild", &["*.test"], &PKCS_ECDSA_P384_SHA384, 2999);
    assert_eq!(chosen(&all(&[&ended, &wild]), "a.test", &ALL, THEN_S), "ended");
    assert_eq!(chosen(&all(&[&ended, &wild]), "a.test", &ALL, NOW_S), "wild");
    assert_eq!(chosen(&all(&[&ended]), "a.test", &ALL, NOW_S), "ended", "better than none");
    assert_eq!(chosen(&all(&[&ended, &longer]), "a.test", &ALL, THEN_S), "longer");
}

#[test]
fn one_that_is_pushed_ahead_is_chosen_once_it_begins() {
    let kind = &PKCS_ECDSA_P256_SHA256;
    let now = within("now", &["a.test"], kind, (2000, 2100));
    // In the order of cost and end alone both would come first.
    let ahead = within("ahead", &["a.test"], kind, (2030, 2999));
    let wild = within("wild", &["*.test"], &PKCS_ECDSA_P384_SHA384, (2000, 2999));
    let ended = within("ended", &["a.test"], &PKCS_RSA_SHA256, (2000, 2010));
    for (others, expected) in [
        (&[&ahead, &now][..], "now"),
        (&[&ahead, &wild], "wild"),
        (&[&ahead, &ended], "ended"),
        (&[&ahead], "ahead"),
    ] {
        assert_eq!(chosen(&all(others), "a.test", &ALL, THEN_S), expected);
        assert_eq!(chosen(&all(others), "a.test", &ALL, NOW_S), "ahead");
    }
    let (begin, _) = Credential::pushed(ahead.clone()).validity();
    assert_eq!(chosen(&all(&[&ahead, &now]), "a.test", &ALL, begin - 1), "now");
    assert_eq!(chosen(&all(&[&ahead, &now]), "a.test", &ALL, begin), "ahead");
}

#[test]
fn one_without_its_key_is_not_there() {
    let whole = made("whole", &["a.test"], &PKCS_ECDSA_P256_SHA256, 2999);
    let bare = Certificate { key: Default::default(), ..Certificate::clone(&whole) };
    assert!(!all(&[&Arc::new(bare)]).cover("a.test"));
    let shown = format!("{:?}", all(&[&whole]).choose("a.test", &ALL, NOW_S));
    assert!(shown.contains("a.test") && shown.len() < 100, "{shown}");
}
