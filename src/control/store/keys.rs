//! The private keys of the certificates that stand, opened and sealed when a store begins.
//!
//! Without its key the store opens all the same: traffic is served without the certificates whose
//! keys stay closed, and a key that is given at the next start opens them.
//! Invariants: a key that does not open is kept as it is; once a store key is given, the plain form
//! of a key is in no file of the store but for backups and what was set aside.

use rusqlite::{Connection, params};

use super::{
    certificate,
    error::StoreError,
    object::{Kind, ObjectKey},
    seal::StoreKey,
    sqlite::{Committed, Store},
};
use crate::route::{CertName, Certificate, PrivateKey, Table};

/// The most names that one line of the log has.
const MOST_NAMES: usize = 20;

/// What becomes of a private key at a start.
enum Outcome {
    /// It stays as it is: in the clear, where there is no store key.
    Same,
    /// It cannot be opened.
    Closed,
    Opened(PrivateKey),
    /// It was in the clear.
    Sealed(PrivateKey),
}

fn outcome(certificate: &Certificate, key: Option<&StoreKey>) -> Outcome {
    let PrivateKey { der, sealed } = certificate.key.clone();
    match (der, sealed) {
        (_, Some(sealed)) => match key.and_then(|key| key.open(certificate, &sealed)) {
            Some(der) => {
                Outcome::Opened(PrivateKey { der: Some(der.into()), sealed: Some(sealed) })
            }
            None => Outcome::Closed,
        },
        (Some(der), None) => match key.and_then(|key| key.seal(certificate, &der)) {
            Some(sealed) => {
                Outcome::Sealed(PrivateKey { der: Some(der), sealed: Some(sealed.into()) })
            }
            None => Outcome::Same,
        },
        (None, None) => Outcome::Same,
    }
}

impl Store {
    /// Opens the keys of a table's certificates, and seals those that were kept in the clear; what
    /// cannot be done is told in the log, and traffic goes on without it.
    pub fn open_keys(&mut self, table: &mut Table, key: Option<&StoreKey>) {
        let (mut closed, mut plain) = (Vec::new(), Vec::new());
        for certificate in table.clone().certificates() {
            let name = &certificate.name;
            match outcome(certificate, key) {
                Outcome::Same => {}
                Outcome::Closed => closed.push(name.clone()),
                Outcome::Opened(key) => table.give_key(name, key),
                Outcome::Sealed(key) => {
                    table.give_key(name, key);
                    plain.push(name.clone());
                }
            }
        }
        if !closed.is_empty() {
            let reason = match key {
                None => "HOSTLER_STORE_KEY is not given, and they were encrypted with one",
                Some(_) => "HOSTLER_STORE_KEY is not the key that they were encrypted with",
            };
            let (certificates, names) = (closed.len(), names(&closed));
            tracing::error!(
                certificates,
                names,
                reason,
                "private keys cannot be opened: traffic is served without these certificates"
            );
        }
        if !plain.is_empty() {
            let (certificates, names) = (plain.len(), names(&plain));
            match self.keep_sealed(&plain, table) {
                Ok(()) => tracing::info!(
                    certificates,
                    names,
                    "private keys are encrypted in the store now"
                ),
                Err(error) => tracing::error!(
                    certificates,
                    names,
                    %error,
                    "private keys stay in the store as they were, in the clear"
                ),
            }
        }
    }

    /// Writes certificates anew, with the keys as they are sealed; nothing of what was there before
    /// is left, neither in the database nor in its log or the snapshot. The snapshot comes last: as
    /// long as it has a key in the clear, the next start does all of this again.
    fn keep_sealed(&mut self, names: &[CertName], table: &Table) -> Result<(), StoreError> {
        self.write(|connection| {
            overwrite(connection, true)?;
            let transaction = connection.transaction()?;
            let kind = Kind::Certificate.as_str();
            for certificate in names.iter().filter_map(|name| table.certificate(name.as_str())) {
                let (name, body) = (certificate.name.as_str(), certificate::encode(certificate));
                let sql = "UPDATE objects SET body = ?3 WHERE kind = ?1 AND key = ?2";
                transaction.execute(sql, params![kind, name, body])?;
            }
            transaction.commit()?;
            overwrite(connection, false)?;
            // Pages that are free still hold what they held.
            connection.execute("VACUUM", [])?;
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })?;
        self.snapshots.write_again()
    }
}

/// From now on what is deleted is overwritten, or is not.
fn overwrite(connection: &Connection, is_on: bool) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "secure_delete", is_on, |_| Ok(()))
}

/// Writes a batch by `write`; what it deletes is overwritten if there is a certificate among it,
/// whose key may be in the clear.
pub(super) fn overwritten(
    connection: &Connection,
    batch: &[Committed],
    write: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let is_secret = |key: &ObjectKey| matches!(key, ObjectKey::Certificate(_));
    if !batch.iter().any(|committed| committed.edits.keys().iter().any(is_secret)) {
        return write();
    }
    overwriting(connection, write)
}

/// Writes by `write`, which overwrites what it deletes.
pub(super) fn overwriting<T>(
    connection: &Connection,
    write: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    overwrite(connection, true)?;
    let written = write()?;
    overwrite(connection, false)?;
    Ok(written)
}

fn names(of: &[CertName]) -> String {
    let told: Vec<_> = of.iter().take(MOST_NAMES).map(CertName::as_str).collect();
    let more = if of.len() > MOST_NAMES { ", …" } else { "" };
    told.join(", ") + more
}
