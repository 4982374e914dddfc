//! The certificate of a listener that was given none: it keeps the traffic from being read, and
//! proves nothing.
//!
//! Invariants: made once, and kept in a file that only the router's user reads, written whole or
//! not at all; P-256, the cheapest to prove; without an end, since nobody could renew the trust in
//! it; the name in it is one that nobody can have (RFC 6761, section 6.4).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

/// The name of the file.
const FILE: &str = "https-self-signed.pem";
/// The name in the certificate.
const NAME: &str = "hostler.invalid";

/// The file of a directory's self-signed certificate, its key behind it; makes it if there is none,
/// and answers whether it did.
///
/// # Errors
/// If it cannot be made or written.
pub fn self_signed(directory: &Path) -> io::Result<(PathBuf, bool)> {
    let path = directory.join(FILE);
    if path.try_exists()? {
        return Ok((path, false));
    }
    let text = make().map_err(io::Error::other)?;
    let new = path.with_extension("new");
    // A file that a crash left behind may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    fs::File::open(directory)?.sync_all()?;
    Ok((path, true))
}

fn make() -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    Ok(params.self_signed(&key)?.pem() + &key.serialize_pem())
}
