//! PEM files that are right, wrong in every way, or renewed.
//!
//! Invariant: an error names its file and what is wrong, and never says what a key holds.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519, date_time_ymd};

use super::{
    AcceptFiles, Acceptor, ClientFiles, FileError, IdentityError, certificate::Facts, files,
};

/// Files of a test: `a` and `b` each with a key.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for name in ["a", "b"] {
            let key = KeyPair::generate().unwrap();
            folder.write(&format!("{name}.pem"), &params(name).self_signed(&key).unwrap().pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What is wrong with a chain and a key, and in which of the two files.
    fn wrong(&self, chain: &str, key: &str) -> (String, IdentityError) {
        match files::identity(&self.path(chain), &self.path(key)).unwrap_err() {
            FileError::Content { path, reason } => {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), reason)
            }
            other => panic!("{other}"),
        }
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.test")]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example, Ltd");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

#[test]
fn a_chain_and_its_key_are_an_identity_wherever_they_stand() {
    let folder = Folder::new();
    files::identity(&folder.path("a.pem"), &folder.path("a.key")).unwrap();
    let text = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    // Both in one file, with remarks, and a chain of two.
    folder
        .write("all.pem", &format!("# ours\n{}{}{}", text("a.key"), text("a.pem"), text("b.pem")));
    let identity = files::identity(&folder.path("all.pem"), &folder.path("all.pem")).unwrap();
    assert_eq!(identity.certified.cert.len(), 2);
    assert!(!format!("{identity:?}").contains("key"), "{identity:?}");
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    folder.write("ed.pem", &params("ed").self_signed(&key).unwrap().pem());
    folder.write("ed.key", &key.serialize_pem());
    files::identity(&folder.path("ed.pem"), &folder.path("ed.key")).unwrap();
}

#[test]
fn what_is_wrong_with_a_file_is_told_of_that_file() {
    let folder = Folder::new();
    folder.write("empty", "");
    folder.write("torn", "-----BEGIN CERTIFICATE-----\nMIIB\n");
    folder.write("odd", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    folder.write("odd.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    folder.write("locked.key", locked);
    let wrong = |chain, key| folder.wrong(chain, key);
    assert_eq!(wrong("empty", "a.key"), ("empty".into(), IdentityError::NoCertificate));
    assert_eq!(wrong("a.key", "a.key"), ("a.key".into(), IdentityError::NoCertificate));
    assert!(matches!(&wrong("torn", "a.key"), (file, IdentityError::Certificate { number: 1, .. })
        if file == "torn"));
    assert!(matches!(&wrong("odd", "a.key"), (file, IdentityError::Certificate { number: 1, .. })
        if file == "odd"));
    assert_eq!(wrong("a.pem", "a.pem"), ("a.pem".into(), IdentityError::NoKey));
    assert_eq!(wrong("a.pem", "locked.key"), ("locked.key".into(), IdentityError::EncryptedKey));
    assert!(matches!(&wrong("a.pem", "odd.key"), (file, IdentityError::Key(_))
        if file == "odd.key"));
    assert_eq!(wrong("a.pem", "b.key"), ("b.key".into(), IdentityError::Mismatch));
    let missing = files::identity(&folder.path("none"), &folder.path("a.key")).unwrap_err();
    assert!(missing.to_string().contains("none cannot be read"), "{missing}");
}

#[test]
fn a_certificate_tells_whose_it_is_and_when_it_is_valid() {
    let key = KeyPair::generate().unwrap();
    let certificate = params("ci").self_signed(&key).unwrap();
    let facts = Facts::read(certificate.der()).unwrap();
    assert_eq!(facts.subject, "CN=ci,O=Example\\, Ltd");
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    // The turns of the years 2026 and 2027.
    let (begin, end) = (1_767_225_600, 1_798_761_600);
    assert_eq!((facts.not_before, facts.not_after), (at(begin), at(end)));
    assert_eq!(facts.objection(at(begin)), None);
    assert_eq!(facts.objection(at(end)), None);
    let early = facts.objection(at(begin - 1)).unwrap();
    assert_eq!(early, "it begins on Thu, 01 Jan 2026 00:00:00 GMT");
    let late = facts.objection(at(end + 1)).unwrap();
    assert_eq!(late, "it ended on Fri, 01 Jan 2027 00:00:00 GMT");
    assert_eq!(Facts::read(b"no certificate"), None);
}

#[test]
fn a_renewal_is_taken_once_and_a_broken_one_is_told_once() {
    let folder = Folder::new();
    let clients = ClientFiles { authorities: folder.path("b.pem"), required: true };
    let (chain, key) = (folder.path("a.pem"), folder.path("a.key"));
    let files = AcceptFiles { chain, key, clients: Some(clients) };
    let (_acceptor, mut renewal) = Acceptor::open(files).unwrap();
    assert!(!renewal.look().unwrap());
    fs::copy(folder.path("b.pem"), folder.path("a.pem")).unwrap();
    assert!(matches!(
        renewal.look(),
        Err(FileError::Content { reason: IdentityError::Mismatch, .. })
    ));
    assert!(!renewal.look().unwrap(), "it is told once");
    fs::copy(folder.path("b.key"), folder.path("a.key")).unwrap();
    assert!(renewal.look().unwrap());
    assert!(!renewal.look().unwrap());
    fs::remove_file(folder.path("b.pem")).unwrap();
    assert!(matches!(renewal.look(), Err(FileError::Unreadable { .. })));
}
