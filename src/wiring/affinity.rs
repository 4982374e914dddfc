//! The key that cookies of affinity are signed with: from the settings, else from a file that the
//! first start makes.
//!
//! Invariants: the file is its owner's alone; a key that cannot be kept does for as long as the
//! process runs, since traffic needs none: clients then come back to their dynos until the next
//! start.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use super::Error;
use crate::balance::affinity::{KEY_BYTES, Seal, SealKey};

/// The name of the file.
const FILE: &str = "affinity.key";

/// What cookies are signed with.
///
/// # Errors
/// If the system has no random numbers.
pub(super) fn seal(given: Option<&SealKey>, data_dir: &Path) -> Result<Arc<Seal>, Error> {
    let key = match given {
        Some(key) => key.clone(),
        None => kept(&data_dir.join(FILE))?,
    };
    Ok(Arc::new(Seal::new(&key)))
}

/// The key in the file; a new one if there is none that can be used.
fn kept(path: &Path) -> Result<SealKey, Error> {
    match read(path) {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {}
        Err(error) => return unkept(path, &error),
    }
    let key = random()?;
    match write(path, &key) {
        Ok(()) => Ok(key),
        Err(error) => unkept(path, &error),
    }
}

fn unkept(path: &Path, error: &io::Error) -> Result<SealKey, Error> {
    tracing::warn!(
        path = %path.display(),
        %error,
        "the key of affinity cannot be kept: clients lose their dynos at the next start; give one \
         in HOSTLER_AFFINITY_KEY"
    );
    random()
}

/// The key in the file; none if it is not there, or was cut short by the end of the start that
/// made it.
fn read(path: &Path) -> io::Result<Option<SealKey>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(io::Error::other(format!("others can read it (mode {mode:03o})")));
    }
    Ok(SealKey::parse(text.trim_end()))
}

fn write(path: &Path, key: &SealKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{}", key.to_hex())?;
    file.sync_all()
}

fn random() -> Result<SealKey, Error> {
    let mut bytes = [0; KEY_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Start("the key of affinity", error.to_string()))?;
    Ok(SealKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_key_that_the_next_one_finds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let key = kept(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(kept(&path).unwrap(), key);
        fs::write(&path, "cut").unwrap();
        let next = kept(&path).unwrap();
        assert!(next != key && kept(&path).unwrap() == next);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_cannot_be_kept_is_used_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let key = kept(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_ne!(kept(&path).unwrap(), key);
        assert_ne!(kept(&dir.path().join("gone").join(FILE)).unwrap(), key);
    }
}
