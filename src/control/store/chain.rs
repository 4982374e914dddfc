//! The edits of one object, from the newest back to what it was at a revision.
//!
//! `objects` leads to the last edit of an object, and each edit to the one before it and to one
//! farther back, so that a history of n edits is gone through in O(log n) steps while an edit is
//! only ever appended: no index by key is kept up (Myers, "An applicative random-access stack",
//! Information Processing Letters 17(5), 1983).
//! Invariants: the numbers of edits grow with their revisions, so that two numbers tell which edit
//! was first without a look at either; an edit that leads to one that was forgotten is at the end
//! of what is kept.

use std::borrow::Cow;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::{object::Kind, sqlite::number};
use crate::route::Revision;

/// Where the edits of an object begin, as `objects` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The number of its last edit; 0: it has none.
    pub last: i64,
    /// How many edits it has had.
    pub depth: i64,
    /// Where its last edit leads farther back; 0: nowhere.
    pub leap: i64,
}

impl Head {
    /// The head once an edit of that number is put before it.
    pub fn after(self, number: i64, connection: &Connection) -> rusqlite::Result<Head> {
        let depth = self.depth + 1;
        let leap = match reach(depth) {
            1 => self.last,
            // Two that are alike become one: it leads where the second of them does.
            _ => {
                let mut query =
                    connection.prepare_cached("SELECT leap FROM edits WHERE id = ?1")?;
                let second = query.query_row([self.leap], |row| row.get(0)).optional()?;
                second.unwrap_or(self.leap)
            }
        };
        Ok(Head { last: number, depth, leap })
    }
}

/// By how many edits the one of that depth leads back: the last term of its depth where that is
/// written as the greatest terms of the form 2^k - 1.
pub fn reach(depth: i64) -> i64 {
    let mut left = depth.max(1).cast_unsigned();
    loop {
        let term = (1_u64 << (left + 1).ilog2()) - 1;
        if left <= term {
            return term.cast_signed();
        }
        left -= term;
    }
}

/// An object as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stood {
    /// The revision that made it so.
    pub from: Revision,
    /// The app that it is, or belongs to, if it does.
    pub app: String,
    /// Its fields.
    pub body: String,
}

/// Objects as of one revision.
pub struct AsOf<'a> {
    at: i64,
    bound: i64,
    object: CachedStatement<'a>,
    edit: CachedStatement<'a>,
}

impl<'a> AsOf<'a> {
    /// Those as of a revision. Whether it is kept is for the caller to look at, afterwards: of one
    /// that is not, anything may be missing.
    pub fn of(connection: &'a Connection, at: Revision) -> rusqlite::Result<AsOf<'a>> {
        let object = "SELECT from_rev, body, app, last FROM objects WHERE kind = ?1 AND key = ?2";
        let edit = "SELECT from_rev, body, app, before, leap FROM edits WHERE id = ?1";
        Ok(AsOf {
            at: number(at),
            bound: last_edit(connection, at)?,
            object: connection.prepare_cached(object)?,
            edit: connection.prepare_cached(edit)?,
        })
    }

    /// The number of the last edit up to then.
    pub fn bound(&self) -> i64 {
        self.bound
    }

    /// What stood under a key; none if nothing did.
    pub fn object(&mut self, kind: Kind, key: &str) -> rusqlite::Result<Option<Stood>> {
        let found = self.object.query_row(params![kind.as_str(), key], |row| {
            let from: i64 = row.get(0)?;
            if from > self.at {
                return Ok(Err(row.get(3)?));
            }
            let body: Option<String> = row.get(1)?;
            let from = Revision(from.cast_unsigned());
            let app = row.get(2)?;
            Ok(Ok(body.map(|body| Stood { from, app, body })))
        });
        match found.optional()? {
            None => Ok(None),
            Some(Ok(stood)) => Ok(stood),
            Some(Err(last)) => self.before(last),
        }
    }

    /// The body of an object of which a row of `objects` is at hand, by its columns `from_rev`,
    /// `body` and `last`.
    pub fn body<'r>(
        &mut self,
        row: &'r Row<'_>,
        [from, body, last]: [usize; 3],
    ) -> rusqlite::Result<Option<Cow<'r, str>>> {
        if row.get::<_, i64>(from)? <= self.at {
            let body = row.get_ref(body)?.as_str_or_null()?;
            return Ok(body.map(Cow::Borrowed));
        }
        Ok(self.before(row.get(last)?)?.map(|stood| Cow::Owned(stood.body)))
    }

    /// What stood of the object whose last edit that is, which is a later one.
    pub fn before(&mut self, last: i64) -> rusqlite::Result<Option<Stood>> {
        let mut id = last;
        loop {
            let mut rows = self.edit.query([id])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let from: i64 = row.get(0)?;
            if from <= self.at {
                let body: Option<String> = row.get(1)?;
                let from = Revision(from.cast_unsigned());
                let app = row.get(2)?;
                return Ok(body.map(|body| Stood { from, app, body }));
            }
            let (before, leap): (i64, i64) = (row.get(3)?, row.get(4)?);
            let next = if leap > self.bound { leap } else { before };
            // In a damaged database it might go round.
            if next >= id {
                return Ok(None);
            }
            id = next;
        }
    }
}

/// The number of the last edit up to a revision; 0 if there is none, or that is not kept.
pub fn last_edit(connection: &Connection, at: Revision) -> rusqlite::Result<i64> {
    let sql = "SELECT last_edit FROM transactions WHERE revision = ?1";
    let found = connection.prepare_cached(sql)?.query_row([number(at)], |row| row.get(0));
    Ok(found.optional()?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_reaches_back_as_far_as_its_depth_says() {
        let reaches: Vec<_> = (1..=16).map(reach).collect();
        assert_eq!(reaches, [1, 1, 3, 1, 1, 3, 7, 1, 1, 3, 1, 1, 3, 7, 15, 1]);
        assert_eq!(reach(i64::MAX), i64::MAX);
        assert_eq!((reach(0), reach(-5)), (1, 1), "whatever a damaged database says");
    }

    #[test]
    fn any_edit_is_found_in_logarithmic_steps() {
        for newest in [1, 2, 100, 1000, 4095, 4096, 100_000_i64] {
            for wanted in (0..=newest).step_by(1 + newest as usize / 500) {
                let (mut at, mut steps) = (newest, 0);
                while at > wanted {
                    let leap = at - reach(at);
                    at = if leap >= wanted { leap } else { at - 1 };
                    steps += 1;
                }
                let most = 3 * (newest.ilog2() + 1);
                assert!(steps <= most, "{newest} to {wanted}: {steps} steps of at most {most}");
            }
        }
    }
}
