//! A push with all that its caller's token and headers say of it, and what it is answered.
//!
//! Invariants: what stands here was read and is well formed; a request without a caller (a test, a
//! part of this process) may do everything.

use std::sync::Arc;

use super::{expiry::DynoKey, push::Push, replace::Replacement, revert::Revert};
use crate::{
    api::Receipt,
    control::{
        scope::{Grant, Scopes},
        store::{Answered, ObjectKey, StoreError},
    },
    route::{Change, Revision, Table},
};

/// A write as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is wanted, by whom, and why.
    pub asked: Asked,
    /// From where.
    pub address: Option<String>,
    /// Under what terms.
    pub terms: Terms,
    /// By what a second try of it is known.
    pub key: Option<Key>,
}

impl From<Push> for Request {
    fn from(push: Push) -> Request {
        Asked::Push(push).into()
    }
}

impl From<Asked> for Request {
    fn from(asked: Asked) -> Request {
        Request { asked, address: None, terms: Terms::default(), key: None }
    }
}

/// What is wanted.
#[derive(Debug, Clone)]
pub enum Asked {
    /// Edits.
    Push(Push),
    /// What was.
    Revert(Revert),
    /// Another table.
    Table(Box<Replacement>),
    /// That dynos leave which were not renewed.
    Expire(Vec<DynoKey>),
}

impl Asked {
    /// About how many edits it comes to.
    pub(super) fn size(&self) -> usize {
        match self {
            Asked::Push(push) => push.ops.len(),
            Asked::Revert(revert) => revert.differences.len(),
            Asked::Table(replacement) => replacement.difference.size(),
            Asked::Expire(dynos) => dynos.len(),
        }
    }
}

/// What a push may do, and when.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What its caller may do.
    pub grant: Arc<Grant>,
    /// What every object that its ops name has to be before.
    pub condition: Condition,
    /// What it may do that a guard would refuse.
    pub consent: Consent,
}

/// What a caller says twice before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consent {
    /// Much less may be there than was.
    pub force: bool,
    /// These protected apps and routes may go, or lose their last of something.
    pub confirm: Vec<String>,
}

impl Default for Terms {
    fn default() -> Terms {
        let grant = Arc::new(Grant::new(Scopes::all()));
        Terms { grant, condition: Condition::default(), consent: Consent::default() }
    }
}

/// What an object has to be for a write to be done (RFC 9110, section 13).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// It is there, and last changed at one of these revisions if any are named (`If-Match`).
    pub stands: Option<Vec<u64>>,
    /// It is not there (`If-None-Match: *`).
    pub is_absent: bool,
}

impl Condition {
    /// Says why the object of a change is not what it has to be; none if it is.
    pub(super) fn unmet(
        &self,
        object: &ObjectKey,
        change: &Change,
        table: &Table,
        last_change: impl FnOnce(&ObjectKey) -> Result<Option<Revision>, StoreError>,
    ) -> Result<Option<(&'static str, String)>, StoreError> {
        if *self == Condition::default() {
            return Ok(None);
        }
        let is_there = is_there(change, table);
        if self.is_absent && is_there {
            return Ok(Some(("if-none-match", format!("{object} is there already"))));
        }
        let Some(revisions) = &self.stands else { return Ok(None) };
        if !is_there {
            return Ok(Some(("if-match", format!("{object} is not there"))));
        }
        if revisions.is_empty() {
            return Ok(None);
        }
        let last = last_change(object)?.unwrap_or_default();
        let reason = || {
            let reason = format!("{object} last changed at revision {last}: read it again");
            ("if-match", reason)
        };
        Ok((!revisions.contains(&last.0)).then(reason))
    }
}

/// Is the object of a change there, and the app's that the change names?
fn is_there(change: &Change, table: &Table) -> bool {
    let app = |name: &str| table.app(name);
    match change {
        Change::PutApp(name, _) | Change::DeleteApp(name) => app(name.as_str()).is_some(),
        Change::PutRoute(key, name, _) | Change::DeleteRoute(key, name) => {
            table.route(key).is_some_and(|owner| owner.name == *name)
        }
        Change::PutDyno(name, dyno) => {
            app(name.as_str()).is_some_and(|app| app.dyno(dyno.name.as_str()).is_some())
        }
        Change::PutCertificate(certificate) => {
            table.certificate(certificate.name.as_str()).is_some()
        }
        Change::DeleteCertificate(name) => table.certificate(name.as_str()).is_some(),
        Change::DeleteDyno(name, dyno) => {
            app(name.as_str()).is_some_and(|app| app.dyno(dyno).is_some())
        }
    }
}

/// By what a second try of a write is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Whose key it is: a token.
    pub caller: String,
    /// What the caller chose.
    pub key: String,
    /// A digest of the request.
    pub request: [u8; 32],
}

impl Key {
    /// What is kept of the answer.
    pub(super) fn answered(self, receipt: Receipt, at_ms: u64) -> Answered {
        let Key { caller, key, request } = self;
        Answered { caller, key, request, receipt, at_ms }
    }
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The receipt.
    pub receipt: Receipt,
    /// It is that of an earlier try.
    pub is_replay: bool,
}
