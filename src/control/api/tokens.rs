//! Who may call: bearer tokens, and where the admin's comes from.
//!
//! * A token is held as its SHA-256 alone, so that a core dump or a careless log line gives none
//!   away, and so that all comparisons are of 32 bytes. A slow hash guards weak secrets in files
//!   that leak; these hashes are never written down and the token that we make has 256 random bits,
//!   so a fast one it is; SHA-256 rather than BLAKE3 because it is small, and builds without
//!   assembly.
//! * Comparison takes the same time wherever two tokens differ, and every token is compared.
//! * A token has a name, for the history, and a scope.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::api::access::ADMIN_TOKEN_FILE;

/// The shortest admin token that is taken, in bytes.
pub const MIN_TOKEN: usize = 16;
/// The longest, in bytes.
pub const MAX_TOKEN: usize = 4096;
/// The environment variable that gives the admin token.
const ADMIN_TOKEN_ENV: &str = "HOSTLER_ADMIN_TOKEN";
/// How many random bytes the token that is made at the first start has.
const RANDOM: usize = 32;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Admin,
}

/// Who calls, as their token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The token's name.
    pub name: Arc<str>,
    /// What it allows.
    pub scope: Scope,
}

struct Token {
    hash: [u8; 32],
    identity: Identity,
}

/// The tokens that open the push API.
pub struct Tokens {
    known: Vec<Token>,
}

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

impl Tokens {
    /// The admin token from the environment if there is one, else from the file `admin.token` of
    /// the data directory, which the first start makes (mode 0600). The caller holds the
    /// directory's lock.
    ///
    /// # Errors
    /// If the token is malformed or exposed, or the file cannot be read or made.
    pub fn load(admin_token_env: Option<&str>, data_dir: &Path) -> Result<Tokens, TokenError> {
        match admin_token_env {
            Some(token) => Tokens::admin(token, ADMIN_TOKEN_ENV),
            None => {
                let path = data_dir.join(ADMIN_TOKEN_FILE);
                let token = read_or_make(&path)?;
                Tokens::admin(&token, &path.display().to_string())
            }
        }
    }

    fn admin(token: &str, from: &str) -> Result<Tokens, TokenError> {
        let well_formed = (MIN_TOKEN..=MAX_TOKEN).contains(&token.len())
            && token.bytes().all(|b| b.is_ascii_graphic());
        if !well_formed {
            return Err(TokenError::Malformed { from: from.into() });
        }
        let identity = Identity { name: "admin".into(), scope: Scope::Admin };
        Ok(Tokens { known: vec![Token { hash: hash(token.as_bytes()), identity }] })
    }

    /// Whose token this is.
    pub fn identify(&self, presented: &[u8]) -> Option<&Identity> {
        let presented = hash(presented);
        let (mut found, mut at) = (Choice::from(0), 0u64);
        for (i, token) in self.known.iter().enumerate() {
            let same = token.hash.ct_eq(&presented);
            at.conditional_assign(&(i as u64), same);
            found |= same;
        }
        bool::from(found).then(|| &self.known[at as usize].identity)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|token| &token.identity)).finish()
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
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
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(TokenError::Random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
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
        Tokens::load(None, dir.path()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 2 * RANDOM + 1);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Tokens::load(None, dir.path()).unwrap();
        let identity = again.identify(text.trim_end().as_bytes()).unwrap();
        assert_eq!((&*identity.name, identity.scope), ("admin", Scope::Admin));
        assert!(again.identify(text.as_bytes()).is_none());
        assert!(again.identify(b"").is_none());
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
        Tokens::load(None, dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().len(), 2 * RANDOM + 1);
    }

    #[test]
    fn a_token_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ADMIN_TOKEN_FILE);
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Tokens::load(None, dir.path()).unwrap_err();
        assert!(error.to_string().contains("mode 644"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Tokens::load(None, dir.path()).is_ok());
    }

    #[test]
    fn the_environment_wins_and_makes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::load(Some("0123456789abcdef"), dir.path()).unwrap();
        assert!(tokens.identify(b"0123456789abcdef").is_some());
        assert!(tokens.identify(b"0123456789abcdeg").is_none());
        assert!(!dir.path().join(ADMIN_TOKEN_FILE).exists());
    }

    #[test]
    fn a_short_or_unprintable_token_is_a_start_error_that_names_the_variable() {
        let dir = tempfile::tempdir().unwrap();
        for token in ["", "fifteen-letters", "sixteen or more, with spaces", "sixteen-or-more\n\n"]
        {
            let error = Tokens::load(Some(token), dir.path()).unwrap_err().to_string();
            assert!(error.contains("HOSTLER_ADMIN_TOKEN") && error.contains("16"), "{error}");
            assert!(token.is_empty() || !error.contains(token), "{error}");
        }
    }

    #[test]
    fn a_missing_data_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Tokens::load(None, &dir.path().join("gone")).unwrap_err().to_string();
        assert!(error.contains("gone/admin.token"), "{error}");
    }

    #[test]
    fn debug_shows_no_hash() {
        let tokens = Tokens::load(Some("0123456789abcdef"), Path::new("/nowhere")).unwrap();
        assert!(!format!("{tokens:?}").contains("hash"));
    }
}
