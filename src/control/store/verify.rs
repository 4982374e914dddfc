//! Is a database what it says? Everything in it is looked at once.
//!
//! 1. SQLite looks through its own structure.
//! 2. The history is walked: versions in the order of the revisions that made them beside versions
//!    in the order of those that ended them, which adds up to what the table held at each revision.
//!    Digest and counts must be those that were written down.
//! 3. Each object must lead to its edits, all of them, and each revision have its own.
//! 4. Tokens and kept answers must read back.
//!
//! Invariants: one read transaction, beside whoever writes; the cost is one way through the
//! database, and memory does not grow with it; nothing is written; at most [`MAX_FINDINGS`] are
//! told.

use std::path::Path;

use rusqlite::{Connection, Row, Rows};
use serde::Serialize;

use super::{
    answers,
    error::StoreError,
    object::{self, Kind},
    prune, schema, snapshot,
    sqlite::number,
    tokens, wal,
};
use crate::{
    control::scope::Scopes,
    route::{Change, Digest, Object, digest::DIGEST_BYTES},
};

/// The most findings that are told.
const MAX_FINDINGS: usize = 100;
/// The tables of a database of ours.
const TABLES: [&str; 6] = ["answers", "deeds", "edits", "objects", "tokens", "transactions"];

/// How many of a kind of finding are named.
const SOME: usize = 3;
/// What finds objects, edits and revisions that do not lead to the edits that they should, and what
/// is wrong with them. What was forgotten may be led to.
const LEADS: [(&str, &str); 3] = [
    (
        "SELECT objects.kind || ' ' || objects.key FROM objects
         LEFT JOIN edits ON edits.id = objects.last
         WHERE CASE WHEN edits.id IS NULL
             THEN objects.last >= (SELECT min(id) FROM edits) OR objects.body IS NULL
             ELSE (edits.kind, edits.key, edits.to_rev, edits.removed)
                 IS NOT (objects.kind, objects.key, objects.from_rev, objects.body IS NULL) END",
        "these do not lead to their last edit",
    ),
    (
        "SELECT edits.kind || ' ' || edits.key FROM edits
         LEFT JOIN edits AS before ON before.id = edits.before
         LEFT JOIN edits AS leap ON leap.id = edits.leap
         WHERE edits.before >= edits.id OR edits.leap > edits.before
             OR CASE WHEN before.id IS NULL THEN edits.before >= (SELECT min(id) FROM edits)
                 ELSE (before.kind, before.key, before.to_rev)
                     IS NOT (edits.kind, edits.key, edits.from_rev) END
             OR CASE WHEN leap.id IS NULL THEN edits.leap >= (SELECT min(id) FROM edits)
                 ELSE (leap.kind, leap.key) IS NOT (edits.kind, edits.key) END",
        "these have an edit that does not lead to those before it",
    ),
    (
        "SELECT 'revision ' || revision FROM transactions
         WHERE changes <> (SELECT count(*) FROM edits WHERE to_rev = revision
             AND id > last_edit - changes AND id <= last_edit)",
        "these do not have their edits",
    ),
];

/// How many edits neither an object nor a later edit leads to: where all that is led to is right,
/// one of the two leads to each.
const UNLED: &str = "
    SELECT (SELECT count(*) FROM edits)
        - (SELECT count(*) FROM edits WHERE before >= (SELECT min(id) FROM edits))
        - (SELECT count(*) FROM objects WHERE last >= (SELECT min(id) FROM edits))";

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The database.
    pub database: String,
    /// The oldest revision that it keeps; 0: all of them.
    pub oldest: u64,
    /// Its newest revision.
    pub newest: u64,
    /// The digest of its newest table.
    pub digest: String,
    /// How many revisions were recomputed.
    pub revisions: u64,
    /// How many versions of objects were read.
    pub versions: u64,
    /// What is wrong, and where; empty if it is sound.
    pub findings: Vec<String>,
}

/// Looks through a database, beside whoever writes to it.
pub fn verify(database: &Path) -> Result<Verdict, StoreError> {
    let connection = schema::open_alone_to_read(database)?;
    let mut verdict = look_through(&connection, database)?;
    match wal::check(database) {
        Ok(()) => {}
        Err(StoreError::Damaged { reason, .. }) => verdict.findings.push(reason),
        Err(error) => return Err(error),
    }
    Ok(verdict)
}

/// Looks through the database of a data directory, and its snapshot.
pub fn verify_dir(dir: &Path) -> Result<Verdict, StoreError> {
    let database = dir.join(super::files::DATABASE);
    if !database.exists() {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(StoreError::Io { what: "read", path: database, source });
    }
    let mut verdict = verify(&database)?;
    let connection = schema::open_alone_to_read(&database)?;
    let path = snapshot::path(dir);
    match snapshot::read_table(dir, 0) {
        Err(snapshot::Unusable::Missing) => {}
        Err(why) => verdict.findings.push(format!("{}: {why}", path.display())),
        Ok((table, at_ms)) => {
            let sql = "SELECT digest FROM transactions WHERE revision = ?1 AND at_ms = ?2";
            let revision = table.revision();
            let known = connection
                .query_row(sql, (number(revision), at_ms), digest_in(0))
                .map_err(StoreError::sqlite(&database));
            let newest = connection
                .query_row("SELECT coalesce(max(revision), 0) FROM transactions", [], |row| {
                    row.get::<_, i64>(0)
                })
                .map_err(StoreError::sqlite(&database))?;
            if newest < number(revision) {
                let what = "is of revision";
                let lost = format!("the newest of the database is {newest}: writes were lost");
                verdict.findings.push(format!("{} {what} {revision}, {lost}", path.display()));
            }
            // One of a forgotten revision is not used, and so not wrong.
            if known.is_ok_and(|known| known != table.digest()) {
                let what = "is not the table that the database has of its revision";
                verdict.findings.push(format!("{} {what} {revision}", path.display()));
            }
        }
    }
    Ok(verdict)
}

/// Looks through an open database.
pub(super) fn look_through(connection: &Connection, path: &Path) -> Result<Verdict, StoreError> {
    let failed = StoreError::sqlite(path);
    let view = connection.unchecked_transaction().map_err(&failed)?;
    let mut look = Look { connection: &view, findings: Vec::new() };
    let mut walked = Walked::default();
    let looked =
        [look.structure(), look.history(&mut walked), look.edits(), look.tokens(), look.answers()];
    for error in looked.into_iter().filter_map(Result::err) {
        match failed(error) {
            StoreError::Damaged { reason, .. } => look.found(reason),
            error => return Err(error),
        }
    }
    let mut findings = look.findings;
    if findings.len() > MAX_FINDINGS {
        let more = findings.len() - MAX_FINDINGS;
        findings.truncate(MAX_FINDINGS);
        findings.push(format!("and {more} more"));
    }
    Ok(Verdict {
        database: path.display().to_string(),
        oldest: prune::oldest(&view).map_or(0, |oldest| oldest.0),
        newest: walked.newest.cast_unsigned(),
        digest: walked.digest.to_string(),
        revisions: walked.revisions,
        versions: walked.versions,
        findings,
    })
}

#[derive(Default)]
struct Walked {
    newest: i64,
    digest: Digest,
    revisions: u64,
    versions: u64,
}

/// What objects add up to.
#[derive(Default)]
struct Sum {
    digest: Digest,
    counts: [i64; Kind::ALL.len()],
}

struct Look<'a> {
    connection: &'a Connection,
    findings: Vec<String>,
}

impl Look<'_> {
    fn found(&mut self, what: String) {
        self.findings.push(what);
    }

    fn structure(&mut self) -> rusqlite::Result<()> {
        let sql = format!("PRAGMA integrity_check({MAX_FINDINGS})");
        let mut check = self.connection.prepare(&sql)?;
        let said = check.query_map([], |row| row.get::<_, String>(0))?;
        let said = said.collect::<rusqlite::Result<Vec<_>>>()?;
        self.findings.extend(said.into_iter().filter(|line| line != "ok"));
        let sql = "SELECT name FROM sqlite_schema WHERE type <> 'index'
                   AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut names = self.connection.prepare(sql)?;
        let names = names.query_map([], |row| row.get::<_, String>(0))?;
        for name in names {
            let name = name?;
            if !TABLES.contains(&name.as_str()) {
                self.found(format!("{name}: no table of ours"));
            }
        }
        Ok(())
    }

    fn history(&mut self, walked: &mut Walked) -> rusqlite::Result<()> {
        const CAME: &str = "
            SELECT from_rev, kind, key, body, app FROM objects WHERE body IS NOT NULL
            UNION ALL SELECT from_rev, kind, key, body, app FROM edits WHERE body IS NOT NULL
            ORDER BY from_rev";
        const WENT: &str = "SELECT to_rev, kind, key, body, app FROM edits WHERE body IS NOT NULL
                            ORDER BY id";
        const POINTS: &str = "SELECT revision, digest, apps, certs, dynos, routes FROM transactions
                              ORDER BY revision";
        let (mut came, mut went) = (self.connection.prepare(CAME)?, self.connection.prepare(WENT)?);
        let mut came = Versions::of(came.query([])?)?;
        let mut went = Versions::of(went.query([])?)?;
        let mut points = self.connection.prepare(POINTS)?;
        let mut points = points.query([])?;
        let mut sum = Sum::default();
        let mut wrong = 0;
        while let Some(point) = points.next()? {
            let revision: i64 = point.get(0)?;
            if walked.revisions > 0 && revision != walked.newest + 1 {
                let last = walked.newest;
                self.found(format!("revision {revision} follows {last}: those between are lost"));
            }
            walked.versions += self.take(&mut came, revision, |digest, kind| {
                sum.digest.add(digest);
                sum.counts[kind as usize] += 1;
            })?;
            self.take(&mut went, revision, |digest, kind| {
                sum.digest.subtract(digest);
                sum.counts[kind as usize] -= 1;
            })?;
            let known = digest_in(1)(point)?;
            let mut counts = [0; Kind::ALL.len()];
            for (at, count) in counts.iter_mut().enumerate() {
                *count = point.get(2 + at)?;
            }
            if known != sum.digest || counts != sum.counts {
                wrong += 1;
                if wrong == 1 {
                    let found = sum.digest;
                    self.found(format!(
                        "revision {revision} should have digest {known} and \
                         [apps, certs, dynos, routes] {counts:?}: what is kept of it has {found} \
                         and {:?}",
                        sum.counts
                    ));
                }
            }
            (walked.newest, walked.revisions) = (revision, walked.revisions + 1);
        }
        if wrong > 1 {
            self.found(format!("{wrong} revisions have another digest than what is kept of them"));
        }
        if let Some((beyond, _)) = came.next.or(went.next) {
            self.found(format!("an object names revision {beyond}, which there is not"));
        }
        walked.digest = sum.digest;
        Ok(())
    }

    /// Hands on the versions up to a revision; answers how many they are.
    fn take(
        &mut self,
        versions: &mut Versions<'_>,
        revision: i64,
        mut take: impl FnMut(Digest, Kind),
    ) -> rusqlite::Result<u64> {
        let mut count = 0;
        while let Some((_, next)) = versions.next.take_if(|(at, _)| *at <= revision) {
            match next {
                Ok((digest, kind)) => take(digest, kind),
                Err(reason) => self.found(reason),
            }
            versions.go_on()?;
            count += 1;
        }
        Ok(count)
    }

    /// Do objects and edits lead where they should? Each question finds some that do not.
    fn edits(&mut self) -> rusqlite::Result<()> {
        for (sql, what) in LEADS {
            let sql = format!("{sql} LIMIT {SOME}");
            let mut query = self.connection.prepare(&sql)?;
            let names = query.query_map([], |row| row.get::<_, String>(0))?;
            let names = names.collect::<rusqlite::Result<Vec<_>>>()?;
            if !names.is_empty() {
                self.found(format!("{what}: {}", names.join(", ")));
            }
        }
        let lost: i64 = self.connection.query_row(UNLED, [], |row| row.get(0))?;
        if lost > 0 {
            self.found(format!("nothing leads to {lost} of the edits"));
        }
        Ok(())
    }

    fn tokens(&mut self) -> rusqlite::Result<()> {
        let mut query = self.connection.prepare(tokens::EVERY)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let scopes = |text: String| text.parse::<Scopes>().map_err(|error| error.to_string());
            let read = tokens::token_of(row).map_err(|error| error.to_string());
            if let Err(reason) = read.and_then(|token| scopes(token.scopes)) {
                let name = row.get_ref(0)?.as_str().unwrap_or("?").to_owned();
                self.found(format!("token {name}: {reason}"));
            }
        }
        Ok(())
    }

    fn answers(&mut self) -> rusqlite::Result<()> {
        let mut query = self.connection.prepare(answers::EVERY)?;
        let mut rows = query.query([])?;
        let mut wrong = 0;
        while let Some(row) = rows.next()? {
            wrong += u64::from(answers::answered_of(row).is_err());
        }
        if wrong > 0 {
            self.found(format!("{wrong} answers to writes with a key cannot be read"));
        }
        Ok(())
    }
}

/// What a version adds to a table, or what is wrong with it.
type Added = Result<(Digest, Kind), String>;

/// Versions of objects, in the order of their revisions.
struct Versions<'a> {
    rows: Rows<'a>,
    /// The next: its revision, and what it adds or what is wrong with it.
    next: Option<(i64, Added)>,
}

impl<'a> Versions<'a> {
    fn of(rows: Rows<'a>) -> rusqlite::Result<Versions<'a>> {
        let mut versions = Versions { rows, next: None };
        versions.go_on()?;
        Ok(versions)
    }

    fn go_on(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get(0)?, read(row)?)),
            None => None,
        };
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Added> {
    let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
    let (word, key, body, app) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let Some(kind) = Kind::parse(word) else {
        return Ok(Err(format!("{word} {key:?}: no such kind of object")));
    };
    Ok(object::decode(None, kind, key, body).and_then(|change| {
        let owner = match &change {
            Change::PutApp(app, _) | Change::PutDyno(app, _) | Change::PutRoute(_, app, _) => {
                app.as_str()
            }
            Change::PutCertificate(_) => "",
            _ => unreachable!("a kept object is put"),
        };
        if owner != app {
            return Err(format!("{word} {key:?} is app {owner}'s, and found under {app}"));
        }
        Ok((Object::put_by(&change).expect("a kept object is put").digest(), kind))
    }))
}

fn digest_in(column: usize) -> impl Fn(&Row<'_>) -> rusqlite::Result<Digest> {
    move |row| row.get::<_, [u8; DIGEST_BYTES]>(column).map(|bytes| Digest::from_bytes(&bytes))
}
