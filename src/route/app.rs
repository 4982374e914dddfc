//! An app: its name, its settings and its dynos, as plain values.
//!
//! Invariants: a name is 1 to 63 bytes of `a-z`, `0-9` and `-`, begins with a letter and does not
//! end with a dash; the dynos of an [`App`] are sorted by name, each name once.

use std::{fmt, sync::Arc};

use super::{dyno::Dyno, settings::AppSettings};

/// The most bytes an app's name may have: the bound of a DNS label (RFC 1035, section 2.3.4), so
/// that every app can have a host of its own name.
pub const MAX_APP_NAME: usize = 63;

/// The name of an app.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppName(Arc<str>);

/// Why a text is not the name of an app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "an app's name is 1 to {MAX_APP_NAME} characters of a-z, 0-9 and -, begins with a letter and \
     does not end with -"
)]
pub struct AppNameError;

impl AppName {
    /// Reads a name. Names are not folded: an upper-case letter is an error.
    pub fn parse(text: &str) -> Result<AppName, AppNameError> {
        let bytes = text.as_bytes();
        let well_formed = !bytes.is_empty()
            && bytes.len() <= MAX_APP_NAME
            && bytes[0].is_ascii_lowercase()
            && bytes[bytes.len() - 1] != b'-'
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if well_formed { Ok(AppName(text.into())) } else { Err(AppNameError) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for AppName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// An app at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name, unique in the table.
    pub name: AppName,
    /// Its settings.
    pub settings: AppSettings,
    /// Its dynos, sorted by name.
    pub dynos: Vec<Arc<Dyno>>,
}

impl App {
    /// The dyno of that name.
    pub fn dyno(&self, name: &str) -> Option<&Arc<Dyno>> {
        let at = self.dynos.binary_search_by(|d| d.name.as_str().cmp(name)).ok()?;
        Some(&self.dynos[at])
    }
}
