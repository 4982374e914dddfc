//! What two revisions have different, object by object.
//!
//! The keys of what was touched between the two are gathered first, in a table beside the database
//! that SQLite keeps in a file once it is large; each is then looked up as of both.
//! Invariants: an object that is the same at both is no difference, whatever it was in between;
//! differences come in the order of the table: apps, dynos, routes, each by its key.

use rusqlite::{ToSql, params};

use super::{
    archive::{Cursor, Page, View},
    chain::last_edit,
    error::StoreError,
    schema::{EDITED_ROUTES, OWN},
    sqlite::number,
};
use crate::route::{Change, Revision};

/// The most objects that are looked at for a page.
const PAGE: i64 = 500;

/// What any transaction behind ?1 up to ?2 edited, by the numbers of their last edits.
const ALL: &str = "SELECT kind, key FROM edits WHERE id > ?1 AND id <= ?2";

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
    app: Option<String>,
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
        let first = from.min(to);
        let gather = |what: &str, bounds: &[&dyn ToSql]| {
            let sql = format!("INSERT OR IGNORE INTO temp.touched {what}");
            view.connection.execute(&sql, bounds)
        };
        let last = |revision| last_edit(&view.connection, revision);
        let gathered = view.connection.execute(create, []).and_then(|_| match app {
            None => gather(ALL, params![last(first)?, last(from.max(to))?]),
            // Of an app all that was edited since: that which only was so later is found the same.
            Some(app) => {
                let own = format!("SELECT kind, key FROM ({OWN}) WHERE from_rev > ?2");
                gather(&own, params![app, number(first)])?;
                gather(EDITED_ROUTES, params![app, number(first), last(first)?])
            }
        });
        gathered.map_err(StoreError::sqlite(view.path()))?;
        view.check_kept(first)?;
        Ok(Differences { view, from, to, app: app.map(str::to_owned) })
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
            if before != after && [&before, &after].into_iter().any(|side| self.tells_of(side)) {
                items.push(Difference { before, after });
            }
            last = Some(Cursor { kind, key });
        }
        self.view.check_kept(self.from.min(self.to))?;
        Ok(Page { items, next: last.filter(|_| full) })
    }

    /// Is a side of a difference of the app that is asked for? A route may be another's at both.
    fn tells_of(&self, side: &Option<Change>) -> bool {
        match (&self.app, side) {
            (Some(app), Some(Change::PutRoute(_, owner, _))) => owner.as_str() == app,
            (Some(_), None) => false,
            _ => true,
        }
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
