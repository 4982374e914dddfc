//! Certificates as a test pushes them: chain and key in PEM, made for it alone.
//!
//! Invariant: what a test looks for when it looks for a key is every form that the key could have
//! on the way: the lines of its PEM, its bytes, and both base64 and hexadecimal of those.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, RsaKeySize,
    SignatureAlgorithm, date_time_ymd,
};
use serde_json::{Value, json};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A chain and its key.
#[derive(Debug, Clone)]
pub struct Made {
    pub chain: String,
    pub key: String,
    der: Vec<u8>,
}

impl Made {
    /// A certificate that signs itself, for those names.
    pub fn new(names: &[&str]) -> Made {
        Made::of(names, &KeyPair::generate().unwrap(), |_| {})
    }

    /// With a key of that kind.
    pub fn of_kind(names: &[&str], kind: &'static SignatureAlgorithm) -> Made {
        let key = match kind == &rcgen::PKCS_RSA_SHA256 {
            true => KeyPair::generate_rsa_for(kind, RsaKeySize::_2048),
            false => KeyPair::generate_for(kind),
        };
        Made::of(names, &key.unwrap(), |_| {})
    }

    /// That begins and ends so many days from now; what is negative is past.
    pub fn within(names: &[&str], from_days: i64, to_days: i64) -> Made {
        let at = |days: i64| {
            let span = Duration::from_secs(days.unsigned_abs() * 24 * 3600);
            let now = SystemTime::now();
            if days < 0 { now - span } else { now + span }
        };
        Made::of(names, &KeyPair::generate().unwrap(), |params| {
            params.not_before = at(from_days).into();
            params.not_after = at(to_days).into();
        })
    }

    fn of(names: &[&str], key: &KeyPair, set: impl FnOnce(&mut CertificateParams)) -> Made {
        let mut params = params(names);
        set(&mut params);
        let chain = params.self_signed(key).unwrap().pem();
        Made::with(chain, key)
    }

    /// One that an authority vouches for through another, which is in the chain.
    pub fn through_two(names: &[&str]) -> (Made, [String; 3]) {
        Made::through_two_until(names, 2999, 2999)
    }

    /// One whose authorities end with the first days of these years: that between, and the root.
    pub fn through_two_until(names: &[&str], middle: i32, root: i32) -> (Made, [String; 3]) {
        let authority = |name: &str, until: i32| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.not_after = date_time_ymd(until, 1, 1);
            params
        };
        let key = || KeyPair::generate().unwrap();
        let root = CertifiedIssuer::self_signed(authority("root", root), key()).unwrap();
        let middle = CertifiedIssuer::signed_by(authority("middle", middle), key(), &root).unwrap();
        let own = key();
        let leaf = params(names).signed_by(&own, &middle).unwrap().pem();
        let parts = [leaf, middle.pem(), root.pem()];
        (Made::with(parts.concat(), &own), parts)
    }

    fn with(chain: String, key: &KeyPair) -> Made {
        Made { chain, key: key.serialize_pem(), der: key.serialize_der() }
    }

    /// Its key with another chain.
    pub fn with_chain(&self, parts: &[&str]) -> Made {
        Made { chain: parts.concat(), ..self.clone() }
    }

    /// What is sent.
    pub fn body(&self) -> Value {
        json!({"chain": self.chain, "key": self.key})
    }

    /// Panics if a part of the key is in there.
    pub fn assert_key_is_not_in(&self, bytes: &[u8], what: &str) {
        // Public parts come last in PKCS#8, behind the secret.
        let secret = &self.der[36..68];
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let lines = self.key.lines().filter(|line| !line.starts_with('-')).take(2);
        let joined: String = lines.clone().collect();
        let needles = lines.map(|line| line.as_bytes()[..60].to_vec());
        let others = [secret.to_vec(), hex.into_bytes(), joined.into_bytes()[..80].to_vec()];
        for needle in needles.chain(others) {
            let found = bytes.windows(needle.len()).any(|part| part == needle);
            assert!(!found, "a private key is in {what}");
        }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = (SystemTime::now() - YEAR).into();
    params.not_after = (SystemTime::now() + YEAR).into();
    params
}
