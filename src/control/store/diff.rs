//! What two revisions have different, object by object.
//!
//! The keys of what was touched between the two are gathered first, in a table beside the database
//! that SQLite keeps in a file once it is large; each is then looked up as of both.
//! Invariants: an object that is the same at both is no difference, whatever it was in between;
//! differences come in the order of the table: apps, dynos, routes, each by its key.

use rusqlite::params;

use super::{
    archive::{Cursor, Page, View},
    error::StoreError,
    schema::{self, Versions},
    sqlite::number,
};
use crate::route::{Change, Revision};

/// The most objects that are looked at for a page.
const PAGE: i64 = 500;

const ALL: &str = "
    INSERT OR IGNORE INTO temp.touched
    SELECT kind, key FROM objects WHERE from_rev > ?1 AND from_rev <= ?2 AND ?3 IS ?3
    UNION ALL SELECT kind, key FROM past WHERE from_rev > ?1 AND from_rev <= ?2
    UNION ALL SELECT kind, key FROM past WHERE to_rev > ?1 AND to_rev <= ?2";

const ENDED_OR_CAME: &str = "to_rev > ?1 AND from_rev <= ?2 AND (to_rev <= ?2 OR from_rev > ?1)";

/// One object that two revisions have different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What puts it as it was at the first; none if it was not there.
    pub before: Option<Change>,
    /// What puts it as it was at the second; none if it was not there.
    pub after: Option<Change>,
}

/// What two revisions have different, to be read page by page.
#[derive(Debug)]
pub struct Differences {
    view: View,
    from: Revision,
    to: Revision,
}

impl Differences {
    /// Finds what was touched between two revisions, of one app if it is named; the first may be
    /// the later one.
    pub fn between(
        view: View,
        from: Revision,
        to: Revision,
        app: Option<&str>,
    ) -> Result<Differences, StoreError> {
        let create = "CREATE TEMP TABLE touched (kind TEXT, key TEXT, PRIMARY KEY (kind, key))
                      WITHOUT ROWID";
        let of_app = |table, which| schema::of_app(table, "kind, key", "?3", which);
        let gather = match app {
            None => ALL.to_owned(),
            Some(_) => format!(
                "INSERT OR IGNORE INTO temp.touched {} UNION ALL {}",
                of_app(Versions::Standing, "from_rev > ?1 AND from_rev <= ?2"),
                of_app(Versions::Past, ENDED_OR_CAME)
            ),
        };
        let bounds = params![number(from.min(to)), number(from.max(to)), app];
        let made = view.connection.execute(create, []);
        made.and_then(|_| view.connection.execute(&gather, bounds))
            .map_err(StoreError::sqlite(view.path()))?;
        view.check_kept(from.min(to))?;
        Ok(Differences { view, from, to })
    }

    /// Some of the differences, from behind a cursor on; a page may well be empty and have a next.
    pub fn page(&self, after: &Cursor) -> Result<Page<Difference>, StoreError> {
        let sql = "SELECT kind, key FROM temp.touched WHERE (kind, key) > (?1, ?2)
                   ORDER BY kind, key LIMIT ?3";
        let failed = StoreError::sqlite(self.view.path());
        let mut query = self.view.connection.prepare_cached(sql).map_err(&failed)?;
        let named = params![after.kind.as_str(), after.key, PAGE];
        let pairs = query
            .query_map(named, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .and_then(|rows| rows.collect::<rusqlite::Result<Vec<_>>>())
            .map_err(&failed)?;
        let full = pairs.len() as i64 == PAGE;
        let mut items = Vec::new();
        let mut last = None;
        for (kind, key) in pairs {
            let kind = self.view.kind(&kind)?;
            let before = self.view.version(kind, &key, self.from)?;
            let after = self.view.version(kind, &key, self.to)?;
            if before != after {
                items.push(Difference { before, after });
            }
            last = Some(Cursor { kind, key });
        }
        self.view.check_kept(self.from.min(self.to))?;
        Ok(Page { items, next: last.filter(|_| full) })
    }

    /// All differences at once.
    pub fn collect(&self) -> Result<Vec<Difference>, StoreError> {
        let mut all = Vec::new();
        let mut next = Some(Cursor::start());
        while let Some(cursor) = next {
            let page = self.page(&cursor)?;
            all.extend(page.items);
            next = page.next;
        }
        Ok(all)
    }
}
