//! A certificate as it is pushed: a chain and a key in PEM become what stands in the table.
//!
//! Invariants: pure; what is answered can be served: every certificate of the chain can be read,
//! each was signed by the one behind it, the leaf covers a host, and its key fits; both texts are
//! judged, and no byte of the key is in any error.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    time::Duration,
};

use rustls::{
    CertificateError, Error, InconsistentKeys, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use x509_cert::{
    certificate::{CertificateInner, Raw, TbsCertificateInner},
    der::{self, Decode, Reader, SliceReader, asn1::UintRef, oid::ObjectIdentifier},
    ext::pkix::{SubjectAltName, name::GeneralName},
    spki::SubjectPublicKeyInfoOwned,
};

use super::identity::{self, IdentityError};
use crate::route::{CertName, Certificate, CoveredHost, Digest, KeyKind, PrivateKey};

/// The longest chain that is read, in bytes of PEM.
pub const MAX_CHAIN: usize = 64 << 10;
/// The most certificates of a chain.
pub const MAX_CERTIFICATES: usize = 10;
/// The longest key that is read, in bytes of PEM: RSA of 8192 bits has 6.4 KiB.
pub const MAX_KEY: usize = 16 << 10;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480, section 2.1.1.1.
const CURVES: [(ObjectIdentifier, u16); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), 256),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), 384),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), 521),
];

/// What is wrong with one of the two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// `chain` or `key`.
    pub field: &'static str,
    /// What is wrong, and what a right one is like.
    pub reason: String,
}

type Parsed = CertificateInner<Raw>;

/// The lengths of RSA keys that are served.
const RSA_BITS: RangeInclusive<u16> = 2048..=8192;

/// Reads what is pushed under a name, at a time in seconds since the Unix epoch.
///
/// # Errors
/// Everything that can be told to be wrong.
pub fn certificate(
    name: CertName,
    chain: &str,
    key: &str,
    now_s: u64,
) -> Result<Certificate, Vec<Flaw>> {
    let flaw = |field| move |reason: String| Flaw { field, reason };
    let key = read_key(key).map_err(flaw("key"));
    let read = read_chain(chain).map_err(flaw("chain"));
    let ((ders, parsed), key) = match (read, key) {
        (Ok(read), Ok(key)) => (read, key),
        (read, key) => return Err(read.err().into_iter().chain(key.err()).collect()),
    };
    let facts = facts(&parsed).map_err(|reason| vec![flaw("chain")(reason)])?;
    verify(&ders, &parsed, now_s).map_err(|reason| vec![flaw("chain")(reason)])?;
    if let KeyKind::Rsa(bits) = facts.key_kind
        && !RSA_BITS.contains(&bits)
    {
        let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
        let reason = format!("it is RSA of {bits} bits: {least} to {most} are served");
        return Err(vec![flaw("key")(reason)]);
    }
    let der = key.secret_der().into();
    if let Err(error) = CertifiedKey::from_der(ders.clone(), key, &identity::provider()) {
        let (field, reason) = match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                ("key", "it is not that of the chain's first certificate".into())
            }
            Error::InvalidCertificate(reason) => ("chain", format!("its first is {reason}")),
            error => ("key", format!("it cannot be used: {error}")),
        };
        return Err(vec![flaw(field)(reason)]);
    }
    let validity = parsed[0].tbs_certificate().validity();
    Ok(Certificate {
        name,
        hosts: facts.hosts.into(),
        not_before_s: validity.not_before.to_unix_duration().as_secs(),
        not_after_s: validity.not_after.to_unix_duration().as_secs(),
        key_kind: facts.key_kind,
        fingerprints: ders.iter().map(|der| Digest::of(der)).collect(),
        chain: ders.iter().map(|der| der.as_ref().into()).collect(),
        key: PrivateKey { der: Some(der), sealed: None },
    })
}

fn read_key(text: &str) -> Result<rustls::pki_types::PrivateKeyDer<'static>, String> {
    if text.len() > MAX_KEY {
        return Err(format!("it has more than {MAX_KEY} bytes"));
    }
    identity::key(text.as_bytes()).map_err(|error| match error {
        IdentityError::EncryptedKey => "it asks for a password: send it without one".into(),
        error => error.to_string(),
    })
}

fn read_chain(text: &str) -> Result<(Vec<CertificateDer<'static>>, Vec<Parsed>), String> {
    if text.len() > MAX_CHAIN {
        return Err(format!("it has more than {MAX_CHAIN} bytes"));
    }
    let ders = identity::chain(text.as_bytes()).map_err(|error| error.to_string())?;
    if ders.len() > MAX_CERTIFICATES {
        return Err(format!("it has more than {MAX_CERTIFICATES} certificates"));
    }
    let parsed = ders.iter().enumerate().map(|(at, der)| {
        let number = at + 1;
        Parsed::from_der(der)
            .map_err(|error| format!("its certificate {number} cannot be read: {error}"))
    });
    let parsed: Vec<Parsed> = parsed.collect::<Result<_, _>>()?;
    let follows =
        |pair: &[Parsed]| pair[0].tbs_certificate().issuer() == pair[1].tbs_certificate().subject();
    if let Some(at) = parsed.windows(2).position(|pair| !follows(pair)) {
        let (one, next) = (at + 1, at + 2);
        return Err(format!(
            "its certificate {next} is not the issuer of certificate {one}: the server's own comes \
             first, then each that issued the one before"
        ));
    }
    Ok((ders, parsed))
}

/// Did each certificate behind the first sign the one before it, and may it? Those between count at
/// the time that the first is valid next, as does the last unless it is a root, at whose time
/// nobody looks.
fn verify(ders: &[CertificateDer<'_>], parsed: &[Parsed], now_s: u64) -> Result<(), String> {
    let [leaf, between @ .., last] = ders else { return Ok(()) };
    let validity = |of: &Parsed| {
        let validity = of.tbs_certificate().validity();
        let (from, to) = (validity.not_before, validity.not_after);
        (from.to_unix_duration().as_secs(), to.to_unix_duration().as_secs())
    };
    let (from_s, to_s) = validity(&parsed[0]);
    let at_s = now_s.max(from_s).min(to_s);
    let issuer = parsed[ders.len() - 1].tbs_certificate();
    let (begin_s, end_s) = validity(&parsed[ders.len() - 1]);
    if issuer.subject() != issuer.issuer() && !(begin_s..=end_s).contains(&at_s) {
        return Err(format!("its certificate {} has ended, or not begun", ders.len()));
    }
    let broken = |error: Error| match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer)
        | Error::InvalidCertificate(CertificateError::BadSignature) => {
            "one of its certificates bears the name of the issuer of the one before, but did not \
             sign it"
                .to_owned()
        }
        error => format!("its certificates do not lead from one to the next: {error}"),
    };
    let mut roots = RootCertStore::empty();
    roots.add(last.clone().into_owned()).map_err(broken)?;
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(leaf).map_err(broken)?,
        &roots,
        between,
        UnixTime::since_unix_epoch(Duration::from_secs(at_s)),
        identity::provider().signature_verification_algorithms.all,
    )
    .map_err(broken)
}

/// What is read of the leaf.
struct Facts {
    hosts: Vec<CoveredHost>,
    key_kind: KeyKind,
}

fn facts(parsed: &[Parsed]) -> Result<Facts, String> {
    let leaf = parsed[0].tbs_certificate();
    let hosts = hosts(leaf).map_err(|error| format!("its first certificate's names: {error}"))?;
    if hosts.is_empty() {
        let reason = "its first certificate covers no host: browsers look at the subject's \
                      alternative names alone";
        return Err(reason.into());
    }
    let key_kind = key_kind(leaf.subject_public_key_info());
    let unknown = "its first certificate's key is none that is served: ECDSA on P-256, P-384 or \
                   P-521, Ed25519, or RSA";
    Ok(Facts { hosts, key_kind: key_kind.ok_or(unknown)? })
}

/// The hosts that a certificate covers, sorted.
pub(super) fn hosts(leaf: &TbsCertificateInner<Raw>) -> Result<Vec<CoveredHost>, der::Error> {
    let names = leaf.get_extension::<SubjectAltName>()?;
    let names = names.map(|(_, SubjectAltName(names))| names).unwrap_or_default();
    let mut hosts: Vec<CoveredHost> = names.iter().filter_map(host).collect();
    hosts.sort();
    hosts.dedup();
    Ok(hosts)
}

/// The host that a name of a certificate is; none of what no request can ask for.
fn host(name: &GeneralName) -> Option<CoveredHost> {
    match name {
        GeneralName::DnsName(name) => {
            // An address as a name covers nothing (RFC 9525, section 6.4).
            let name = name.as_str();
            name.parse::<Ipv4Addr>().is_err().then(|| CoveredHost::parse(name))?
        }
        GeneralName::IpAddress(bytes) => match bytes.as_bytes().len() {
            4 => {
                let bytes: [u8; 4] = bytes.as_bytes().try_into().ok()?;
                CoveredHost::parse(&Ipv4Addr::from(bytes).to_string())
            }
            _ => {
                let bytes: [u8; 16] = bytes.as_bytes().try_into().ok()?;
                CoveredHost::parse(&format!("[{}]", Ipv6Addr::from(bytes)))
            }
        },
        _ => None,
    }
}

fn key_kind(key: &SubjectPublicKeyInfoOwned) -> Option<KeyKind> {
    match key.algorithm.oid {
        EC => {
            let curve: ObjectIdentifier = key.algorithm.parameters.as_ref()?.decode_as().ok()?;
            CURVES.iter().find(|(oid, _)| *oid == curve).map(|(_, bits)| KeyKind::Ecdsa(*bits))
        }
        ED25519 => Some(KeyKind::Ed25519),
        RSA => {
            // RSAPublicKey (RFC 8017, section A.1.1): the modulus comes first.
            let mut reader = SliceReader::new(key.subject_public_key.as_bytes()?).ok()?;
            let bits = reader.sequence(|inner: &mut SliceReader<'_>| {
                let modulus = UintRef::decode(inner)?;
                let first = modulus.as_bytes().first().copied().unwrap_or_default();
                let bits = 8 * modulus.as_bytes().len() - first.leading_zeros() as usize;
                UintRef::decode(inner)?;
                Ok::<_, der::Error>(bits)
            });
            bits.ok()?.try_into().ok().map(KeyKind::Rsa)
        }
        _ => None,
    }
}
