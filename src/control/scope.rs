//! What a token allows: scopes, and what follows from several of them.
//!
//! `read` reads everything; `push:APP` writes one app and reads it; `push` writes every app and
//! reads everything; `admin` allows everything, tokens included.
//! Invariants: what no scope allows is not allowed; what is written is read back; there is no text
//! for a scope but the one that it is shown as.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::route::AppName;

/// The most scopes of one token.
pub const MAX_SCOPES: usize = 100;

/// One thing that a token allows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To read everything but the tokens.
    Read,
    /// To write one app, and to read it.
    PushApp(AppName),
    /// To write every app, and to read everything but the tokens.
    Push,
    /// Everything.
    Admin,
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope is read, push:APP, push or admin, and {0:?} is none of them")]
pub struct ScopeError(String);

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        match text {
            "read" => Ok(Scope::Read),
            "push" => Ok(Scope::Push),
            "admin" => Ok(Scope::Admin),
            _ => {
                let app = text.strip_prefix("push:").and_then(|app| AppName::parse(app).ok());
                app.map(Scope::PushApp).ok_or_else(|| ScopeError(text.into()))
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Read => f.write_str("read"),
            Scope::PushApp(app) => write!(f, "push:{app}"),
            Scope::Push => f.write_str("push"),
            Scope::Admin => f.write_str("admin"),
        }
    }
}

/// All that a token allows: sorted, each scope once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Everything.
    pub fn all() -> Scopes {
        Scopes(vec![Scope::Admin])
    }

    /// May they read everything but the tokens?
    pub fn may_read(&self) -> bool {
        self.0.iter().any(|scope| !matches!(scope, Scope::PushApp(_)))
    }

    /// May they read this app?
    pub fn may_read_app(&self, app: &str) -> bool {
        self.may_read() || self.may_push(app)
    }

    /// May they write this app, within what is nobody else's?
    pub fn may_push(&self, app: &str) -> bool {
        let is_of = |scope: &Scope| matches!(scope, Scope::PushApp(own) if own.as_str() == app);
        self.may_push_all() || self.0.iter().any(is_of)
    }

    /// May they write some app?
    pub fn may_push_some(&self) -> bool {
        self.0.iter().any(|scope| *scope != Scope::Read)
    }

    /// May they write every app?
    pub fn may_push_all(&self) -> bool {
        self.0.iter().any(|scope| matches!(scope, Scope::Push | Scope::Admin))
    }

    /// Do they allow everything?
    pub fn may_all(&self) -> bool {
        self.0.contains(&Scope::Admin)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        Scopes(scopes)
    }
}

/// Words between blanks, as the store and OAuth write them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            let blank = if at > 0 { " " } else { "" };
            write!(f, "{blank}{scope}")?;
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scopes, ScopeError> {
        text.split(' ').map(Scope::from_str).collect()
    }
}

/// The scopes of a token for as long as it is not revoked. Every push of the token shares it, so
/// that those that wait are judged by what holds when their turn comes.
#[derive(Debug, Default)]
pub struct Grant {
    scopes: Scopes,
    is_revoked: AtomicBool,
}

impl Grant {
    /// Grants these scopes.
    pub fn new(scopes: Scopes) -> Grant {
        Grant { scopes, is_revoked: AtomicBool::new(false) }
    }

    /// What is granted, revoked or not.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Whatever is judged from now on is refused.
    pub fn revoke(&self) {
        self.is_revoked.store(true, Ordering::Release);
    }

    /// Was it revoked?
    pub fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_shown_is_read_back_and_nothing_else_is() {
        for text in ["admin", "push", "read", "push:blog", "read push:blog push:shop push admin"] {
            assert_eq!(scopes(text).to_string(), text);
        }
        assert_eq!(scopes("push:b read push:a read").to_string(), "read push:a push:b");
        for text in ["", "Read", "write", "push:", "push:Blog", "push:*", "read,push", "read  push"]
        {
            assert!(text.parse::<Scopes>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn each_scope_allows_what_is_below_it() {
        // read, read blog, read shop, push some, push blog, push shop, push all, all
        let of = |text: &str| {
            let s = scopes(text);
            let apps = [s.may_push("blog"), s.may_push("shop")];
            let reads = [s.may_read(), s.may_read_app("blog"), s.may_read_app("shop")];
            (reads, s.may_push_some(), apps, s.may_push_all(), s.may_all())
        };
        let (all, none) = ([true; 3], [false; 2]);
        assert_eq!(of("read"), (all, false, none, false, false));
        assert_eq!(of("push:blog"), ([false, true, false], true, [true, false], false, false));
        assert_eq!(of("read push:blog"), (all, true, [true, false], false, false));
        assert_eq!(of("push"), (all, true, [true; 2], true, false));
        assert_eq!(of("admin"), (all, true, [true; 2], true, true));
        let nothing = Scopes::default();
        assert!(!nothing.may_read() && !nothing.may_push_some() && !nothing.may_push("blog"));
    }
}
