//! Who may call: bearer tokens, the admin's and those that were made.
//!
//! * A token that is made is `hostler_ID_SECRET`: the id finds it, which is no secret, and the
//!   secret is 256 random bits. Kept and held is the SHA-256 of the whole text alone. A slow hash
//!   guards weak secrets, which can be guessed one by one; nobody guesses 256 random bits, so a
//!   fast one gives nothing away, and every call pays for it. SHA-256 rather than BLAKE3 because it
//!   is small, and builds without assembly.
//! * Comparison takes the same time wherever two hashes differ.
//! * A token has a name, for the history, and scopes; it may end by itself. One that was revoked
//!   opens nothing from that moment on, nor is anything done that it began: its pushes share its
//!   grant, and are judged by it when their turn comes.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

pub use super::admin::TokenError;
use super::{admin, body::OWN_SHARE, rate::Bucket};
use crate::control::{
    scope::{Grant, Scopes},
    store::TokenRow,
};

/// The name of the token that the environment or the file gives.
pub const ADMIN: &str = "admin";
/// What the text of a token begins with that was made here, so that it is known where it lies
/// about.
const PREFIX: &str = "hostler_";
/// How many random bytes the id of a token has.
const ID: usize = 8;

/// Whose token it is, and what it allows.
pub struct Holder {
    /// The token's name.
    pub name: String,
    /// By which it is told from others of its name, before and after it.
    pub id: String,
    /// What it allows, until it is revoked.
    pub grant: Arc<Grant>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// Who made it.
    pub made_by: String,
    /// When it ends.
    pub expires_ms: Option<u64>,
    hash: [u8; 32],
    /// When it was last used; 0: not since the start.
    used_ms: AtomicU64,
    calls: Bucket,
    /// What its bodies may hold of what all may hold: see [`super::body`].
    pub(super) bodies: Arc<Semaphore>,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody has it, or it was revoked.
    #[error("this token is not known here: it may have been revoked")]
    Unknown,
    /// Its time is over.
    #[error("this token has expired: an admin can make another (POST /v1/tokens)")]
    Expired,
}

impl Holder {
    /// May it still be used?
    pub fn check(&self, now_ms: u64) -> Result<(), Denied> {
        if self.grant.is_revoked() {
            return Err(Denied::Unknown);
        }
        if self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Err(Denied::Expired);
        }
        Ok(())
    }

    /// When it was last used, if it was since the start.
    pub fn used_ms(&self) -> Option<u64> {
        Some(self.used_ms.load(Relaxed)).filter(|used_ms| *used_ms > 0)
    }

    /// Takes one of `rate` calls a second; else says how long to wait.
    pub fn take_call(&self, rate: u32, now: Instant) -> Result<(), Duration> {
        self.calls.take(rate, now)
    }
}

impl From<TokenRow> for Holder {
    fn from(row: TokenRow) -> Holder {
        let TokenRow { name, id, hash, scopes, made_ms, made_by, expires_ms } = row;
        // Nothing is allowed by what nobody can read.
        let scopes = scopes.parse().unwrap_or_else(|error| {
            tracing::error!(token = %name, %error, "the scopes of a token are not known");
            Scopes::default()
        });
        let grant = Arc::new(Grant::new(scopes));
        let (used_ms, calls) = Default::default();
        let bodies = Arc::new(Semaphore::new(OWN_SHARE));
        Holder { name, id, grant, made_ms, made_by, expires_ms, hash, used_ms, calls, bodies }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.grant.scopes())
    }
}

/// The tokens that open the push API.
pub struct Tokens {
    admin: Arc<Holder>,
    /// By their ids.
    made: RwLock<HashMap<String, Arc<Holder>>>,
}

impl Tokens {
    /// The admin token from the environment if there is one, else from the file `admin.token` of
    /// the data directory, which the first start makes (mode 0600). The caller holds the
    /// directory's lock.
    ///
    /// # Errors
    /// If the token is malformed or exposed, or the file cannot be read or made.
    pub fn load(from_env: Option<&str>, data_dir: &Path) -> Result<Tokens, TokenError> {
        let token = admin::load(from_env, data_dir)?;
        let row = TokenRow {
            name: ADMIN.into(),
            id: ADMIN.into(),
            hash: hash(token.as_bytes()),
            scopes: Scopes::all().to_string(),
            made_ms: 0,
            made_by: ADMIN.into(),
            expires_ms: None,
        };
        Ok(Tokens { admin: Arc::new(row.into()), made: RwLock::default() })
    }

    /// These, and those that were made.
    pub fn with(self, rows: Vec<TokenRow>) -> Tokens {
        rows.into_iter().for_each(|row| self.insert(row));
        self
    }

    /// From now on this token opens what it allows.
    pub fn insert(&self, row: TokenRow) {
        let holder = Arc::new(Holder::from(row));
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        made.insert(holder.id.clone(), holder);
    }

    /// From now on the token of that name opens nothing, whatever is on the way.
    pub fn remove(&self, name: &str) {
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, holder| {
            if holder.name == name {
                holder.grant.revoke();
            }
            holder.name != name
        });
    }

    /// Every token that was made, sorted by name.
    pub fn list(&self) -> Vec<Arc<Holder>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = made.values().cloned().collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Whose token this is, and notes that it was used.
    pub fn identify(&self, presented: &[u8], now_ms: u64) -> Result<Arc<Holder>, Denied> {
        let presented_hash = hash(presented);
        let named = id_of(presented).and_then(|id| {
            let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
            made.get(id).cloned()
        });
        let holder = named.as_ref().unwrap_or(&self.admin);
        if !bool::from(holder.hash.ct_eq(&presented_hash)) {
            return Err(Denied::Unknown);
        }
        holder.check(now_ms)?;
        holder.used_ms.store(now_ms, Relaxed);
        Ok(holder.clone())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entry(&self.admin).entries(self.list()).finish()
    }
}

/// Makes a token: its text, and what is kept of it.
pub fn make(
    name: String,
    scopes: &Scopes,
    (made_ms, made_by): (u64, String),
    expires_ms: Option<u64>,
) -> Result<(String, TokenRow), getrandom::Error> {
    let id = admin::random::<ID>()?;
    let text = format!("{PREFIX}{id}_{}", admin::random::<{ admin::RANDOM }>()?);
    let (hash, scopes) = (hash(text.as_bytes()), scopes.to_string());
    Ok((text, TokenRow { name, id, hash, scopes, made_ms, made_by, expires_ms }))
}

/// The id in a token's text.
fn id_of(token: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(token).ok()?.strip_prefix(PREFIX)?;
    rest.split_once('_').map(|(id, _)| id)
}

/// The SHA-256 of a token, or of what else is to be told from all others.
pub(super) fn hash(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn tokens() -> Tokens {
        Tokens::load(Some("0123456789abcdef"), Path::new("/nowhere")).unwrap()
    }

    fn made(tokens: &Tokens, name: &str, scopes: &str, expires_ms: Option<u64>) -> String {
        let made = make(name.into(), &scopes.parse().unwrap(), (NOW, "ann".into()), expires_ms);
        let (text, row) = made.unwrap();
        tokens.insert(row);
        text
    }

    #[test]
    fn a_token_opens_what_its_scopes_say_and_another_opens_nothing() {
        let tokens = tokens();
        let text = made(&tokens, "ci", "push:blog", None);
        let holder = tokens.identify(text.as_bytes(), NOW).unwrap();
        assert_eq!(
            (holder.name.as_str(), holder.grant.scopes().to_string().as_str()),
            ("ci", "push:blog")
        );
        let admin = tokens.identify(b"0123456789abcdef", NOW).unwrap();
        assert!(admin.grant.scopes().may_all());
        let mut wrong = text.clone();
        wrong.pop();
        for other in ["", "0123456789abcdeg", "hostler_", &wrong, &format!("{text}0"), "admin"] {
            assert_eq!(tokens.identify(other.as_bytes(), NOW).unwrap_err(), Denied::Unknown);
        }
        // Right id, secret of another.
        let other = made(&tokens, "cd", "push", None);
        let mixed = format!("{}{}", &text[..25], &other[25..]);
        assert_eq!(tokens.identify(mixed.as_bytes(), NOW).unwrap_err(), Denied::Unknown);
    }

    #[test]
    fn the_text_is_a_secret_of_256_bits_that_is_nowhere_kept() {
        let (text, row) = make("ci".into(), &Scopes::all(), (NOW, "ann".into()), None).unwrap();
        assert_eq!(text.len(), "hostler_".len() + 16 + 1 + 64);
        let secret = &text[25..];
        assert!(!format!("{row:?}").contains(secret));
        let other = make("ci".into(), &Scopes::all(), (NOW, "ann".into()), None).unwrap();
        assert!(other.0 != text && other.1.id != row.id);
        let tokens = tokens().with(vec![row]);
        assert!(tokens.identify(text.as_bytes(), NOW).is_ok());
        assert_eq!(format!("{tokens:?}"), "[admin (admin), ci (admin)]");
    }

    #[test]
    fn a_revoked_token_opens_nothing_nor_do_calls_that_it_began() {
        let tokens = tokens();
        let text = made(&tokens, "ci", "push", None);
        let began = tokens.identify(text.as_bytes(), NOW).unwrap();
        assert_eq!(began.check(NOW), Ok(()));
        tokens.remove("ci");
        assert_eq!(began.check(NOW), Err(Denied::Unknown));
        assert_eq!(tokens.identify(text.as_bytes(), NOW).unwrap_err(), Denied::Unknown);
        assert!(tokens.list().is_empty());
        tokens.remove(ADMIN);
        assert!(tokens.identify(b"0123456789abcdef", NOW).is_ok(), "the admin stays");
    }

    #[test]
    fn a_token_ends_when_it_was_told_to_and_knows_its_last_use() {
        let tokens = tokens();
        let text = made(&tokens, "ci", "push", Some(NOW + 1));
        assert_eq!(tokens.list()[0].used_ms(), None);
        assert!(tokens.identify(text.as_bytes(), NOW).is_ok());
        assert_eq!(tokens.identify(text.as_bytes(), NOW + 1).unwrap_err(), Denied::Expired);
        assert_eq!(tokens.list()[0].used_ms(), Some(NOW));
    }

    #[test]
    fn scopes_that_nobody_knows_allow_nothing() {
        let (text, mut row) = make("ci".into(), &Scopes::all(), (0, "ann".into()), None).unwrap();
        row.scopes = "admin superuser".into();
        let holder = tokens().with(vec![row]).identify(text.as_bytes(), NOW).unwrap();
        assert_eq!(*holder.grant.scopes(), Scopes::default());
    }
}
