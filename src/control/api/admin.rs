//! The admin's token: from the environment, else from a file that the first start makes.
//!
//! Invariants: the file is its owner's alone, and one that others can read is refused; a token that
//! is too short to be a secret, or that no header can carry, is refused; no error shows the token.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::api::access::ADMIN_TOKEN_FILE;

/// The shortest admin token that is taken, in bytes.
pub const MIN_TOKEN: usize = 16;
/// The longest, in bytes.
pub const MAX_TOKEN: usize = 4096;
/// The environment variable that gives the admin token.
const ADMIN_TOKEN_ENV: &str = "HOSTLER_ADMIN_TOKEN";
/// How many random bytes a token has that is made here.
pub(super) const RANDOM: usize = 32;

/// Why there is no admin token to start with.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Too short, too long, or with bytes that no header can carry.
    #[error(
        "the admin token in {from} is not {MIN_TOKEN} to {MAX_TOKEN} printable ASCII characters \
         without spaces: `openssl rand -hex 32` makes a good one"
    )]
    Malformed {
        /// The variable or the file.
        from: String,
    },
    /// Others on the machine can read it.
    #[error(
        "{path} can be read by others (mode {mode:03o}), so its token is no secret: remove the \
         file, and the next start makes a new token"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file cannot be read or made.
    #[error("the admin token cannot be kept in {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for the admin token: {0}")]
    Random(getrandom::Error),
}

/// The admin token from the environment if there is one, else from the file `admin.token` of the
/// data directory, which the first start makes (mode 0600). The caller holds the directory's lock.
pub(super) fn load(from_env: Option<&str>, data_dir: &Path) -> Result<String, TokenError> {
    match from_env {
        Some(token) => checked(token, ADMIN_TOKEN_ENV),
        None => {
            let path = data_dir.join(ADMIN_TOKEN_FILE);
            checked(&read_or_make(&path)?, &path.display().to_string())
        }
    }
}

fn checked(token: &str, from: &str) -> Result<String, TokenError> {
    let well_formed = (MIN_TOKEN..=MAX_TOKEN).contains(&token.len())
        && token.bytes().all(|b| b.is_ascii_graphic());
    if well_formed { Ok(token.into()) } else { Err(TokenError::Malformed { from: from.into() }) }
}

/// Random bytes in hexadecimal digits.
pub(super) fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut random = [0; N];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read_or_make(path: &Path) -> Result<String, TokenError> {
    let failed = |source| TokenError::File { path: path.into(), source };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => return make(file, path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(failed(source)),
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Exposed { path: path.into(), mode });
    }
    if metadata.len() == 0 {
        // The start that made the file was cut short before it wrote the token.
        return make(OpenOptions::new().write(true).open(path).map_err(failed)?, path);
    }
    let mut text = String::new();
    file.take(MAX_TOKEN as u64 + 2).read_to_string(&mut text).map_err(failed)?;
    Ok(text.trim_end().to_owned())
}

fn make(mut file: File, path: &Path) -> Result<String, TokenError> {
    let token = random::<RANDOM>().map_err(TokenError::Random)?;
    let written = file.write_all(format!("{token}\n").as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| TokenError::File { path: path.into(), source })?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_secret_that_the_next_one_finds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ADMIN_TOKEN_FILE);
        let token = load(None, dir.path()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.trim_end(), text.len()), (token.as_str(), 2 * RANDOM + 1));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(None, dir.path()).unwrap(), token);
    }

    #[test]
    fn two_first_starts_make_two_tokens() {
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            read_or_make(&dir.path().join(ADMIN_TOKEN_FILE)).unwrap()
        };
        assert_ne!(make(), make());
    }

    #[test]
    fn a_start_that_was_cut_short_is_made_good() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ADMIN_TOKEN_FILE);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        load(None, dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 2 * RANDOM + 1);
    }

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ADMIN_TOKEN_FILE);
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = load(None, dir.path()).unwrap_err();
        assert!(error.to_string().contains("mode 644"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(load(None, dir.path()).is_ok());
    }

    #[test]
    fn the_environment_wins_and_makes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(Some("0123456789abcdef"), dir.path()).unwrap(), "0123456789abcdef");
        assert!(!dir.path().join(ADMIN_TOKEN_FILE).exists());
    }

    #[test]
    fn a_short_or_unprintable_token_is_a_start_error_that_names_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        for token in ["", "fifteen-letters", "sixteen or more, with spaces", "sixteen-or-more\n\n"]
        {
            let error = load(Some(token), dir.path()).unwrap_err().to_string();
            assert!(error.contains("HOSTLER_ADMIN_TOKEN") && error.contains("16"), "{error}");
            assert!(token.is_empty() || !error.contains(token), "{error}");
        }
    }

    #[test]
    fn a_missing_data_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = load(None, &dir.path().join("gone")).unwrap_err().to_string();
        assert!(error.contains("gone/admin.token"), "{error}");
    }
}
