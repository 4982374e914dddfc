//! Affinity: a client comes back to the dyno that served it, by a cookie that the router sets.
//!
//! The cookie names a dyno of an app ([`crate::balance::affinity`]). It is set when the client had
//! none that counts, when its dyno is gone or unfit and another was chosen, and when half of its
//! age is over. A dyno whose release has no share of the requests is unfit like one that drains:
//! who turns a canary off wants nobody there, whose session ever. Invariants: an app without
//! affinity costs nothing here; a cookie that does not count is as good as none; a dyno that is
//! full is spared and not given up: the cookie stays.

use std::{sync::Arc, time::Duration};

use super::{LiveApp, LiveDyno, choice::Asking};
use crate::{
    balance::{
        Bar,
        affinity::{Named, Seal, Tag},
    },
    route::{CookieSecure, OwnAffinity, SameSite},
};

/// How clients come back to their dyno.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affinity {
    /// Do they?
    pub enabled: bool,
    /// The name of the cookie.
    pub cookie: Arc<str>,
    /// How long it lasts; zero: as long as the browser's session.
    pub age: Duration,
    /// The paths that it is for: this one and those below.
    pub path: Arc<str>,
    /// Is it for HTTPS alone?
    pub secure: CookieSecure,
    /// Is it hidden from scripts?
    pub http_only: bool,
    /// With which requests from other sites it goes along.
    pub same_site: SameSite,
}

impl Default for Affinity {
    fn default() -> Self {
        Affinity {
            enabled: false,
            cookie: "hostler-affinity".into(),
            age: Duration::ZERO,
            path: "/".into(),
            secure: CookieSecure::Auto,
            http_only: true,
            same_site: SameSite::Lax,
        }
    }
}

impl Affinity {
    /// This, with an app's own in the place of what it has.
    pub fn with(&self, own: &OwnAffinity) -> Affinity {
        Affinity {
            enabled: own.enabled.unwrap_or(self.enabled),
            cookie: own.cookie.as_ref().unwrap_or(&self.cookie).clone(),
            age: own.age.unwrap_or(self.age),
            path: own.path.as_ref().unwrap_or(&self.path).clone(),
            secure: own.secure.unwrap_or(self.secure),
            http_only: own.http_only.unwrap_or(self.http_only),
            same_site: own.same_site.unwrap_or(self.same_site),
        }
    }

    /// Its age in seconds, as browsers are told it; none if it is not to be told.
    pub fn age_s(&self) -> Option<u64> {
        (!self.age.is_zero()).then(|| self.age.as_secs().max(1))
    }

    /// What the first of a client's cookies says that counts at `now_s` of the Unix time.
    pub fn read<'a>(
        &self,
        seal: &Seal,
        app: &str,
        values: impl Iterator<Item = &'a [u8]>,
        now_s: u32,
    ) -> Option<Named> {
        let counts = |named: &Named| !self.is_over(named, now_s, 1);
        values.take(MAX_READ).filter_map(|value| seal.read(app, value)).find(counts)
    }

    /// Is it time that a cookie that counts is written anew?
    pub fn is_stale(&self, named: &Named, now_s: u32) -> bool {
        self.is_over(named, now_s, 2)
    }

    /// Is this part of the age over?
    fn is_over(&self, named: &Named, now_s: u32, part: u64) -> bool {
        let since_s = u64::from(now_s.saturating_sub(named.issued_s));
        self.age_s().is_some_and(|age_s| since_s * part > age_s)
    }
}

/// The most cookies of the name that are looked at: a browser sends one for each path and domain.
const MAX_READ: usize = 8;

/// What becomes of a client that has a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comeback {
    /// It goes to the dyno at this place among the app's.
    To(usize),
    /// The dyno at this place can take nothing more now: this request goes to another.
    Spared(usize),
    /// The dyno at this place is unfit: the client gets another for good.
    Unfit(usize, Bar),
    /// The app has no such dyno.
    Gone,
}

impl LiveApp {
    /// What becomes of a client whose dyno has this tag.
    pub fn comeback(&self, seal: &Seal, tag: Tag, asking: &Asking<'_>) -> Comeback {
        let name = self.app.name.as_str();
        let Some(at) = self.dynos.iter().position(|live| live.tag(seal, name) == tag) else {
            return Comeback::Gone;
        };
        match self.bar(at, asking) {
            None => Comeback::To(at),
            Some(Bar::Full) => Comeback::Spared(at),
            Some(bar) => Comeback::Unfit(at, bar),
        }
    }
}

impl LiveDyno {
    /// The tag of the dyno, which is one of the app of that name.
    pub fn tag(&self, seal: &Seal, app: &str) -> Tag {
        let make = || {
            let tag = seal.tag(app, self.dyno.name.as_str());
            self.cell.set_tag(tag);
            tag
        };
        self.cell.tag().unwrap_or_else(make)
    }
}
