//! Authorities and the certificates that they vouch for, made for one test.
//!
//! Invariant: nothing here is known to the machine; whoever is to trust one is told its file.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// An authority and the folder of what it made.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// The PEM files of a certificate and its key.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one of that name.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { issuer, folder: tempfile::tempdir().unwrap() };
        authority.write("ca.pem", &authority.issuer.pem());
        authority
    }

    /// The PEM file of its own certificate.
    pub fn ca(&self) -> String {
        text(self.folder.path().join("ca.pem"))
    }

    /// A certificate for those names, in files of that name.
    pub fn issue(&self, name: &str, names: &[&str]) -> Files {
        self.issue_until(name, names, 2999)
    }

    /// One that ends with the first day of a year.
    pub fn issue_until(&self, name: &str, names: &[&str], year: i32) -> Files {
        self.issue_within(name, names, (2000, year))
    }

    /// One that begins and ends with the first days of years.
    pub fn issue_within(&self, name: &str, names: &[&str], (from, to): (i32, i32)) -> Files {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Files {
            cert: self.write(&format!("{name}.pem"), &cert.pem()),
            key: self.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        // A file is replaced whole, as whoever renews one does.
        let new = path.with_extension("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(&new, &path).unwrap();
        text(path)
    }
}

fn text(path: impl AsRef<Path>) -> String {
    PathBuf::from(path.as_ref()).into_os_string().into_string().unwrap()
}
