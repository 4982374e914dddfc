//! A whole table as it comes, line by line, put together beside the hub.
//!
//! Invariants: pure, and knows nothing of the table that is live; a line is held until it is read
//! and has a bound; an app stands before its dynos and routes, and each object stands once; at most
//! [`MAX_MISTAKES`] are told, each with its line, and then the rest is not looked at; what came is
//! what the header said, if it said anything.

use std::sync::Arc;

use super::{
    line::{self, Header, Line},
    ops, permit,
    push::{Mistake, PushError},
    settings::Settings,
};
use crate::route::{Change, Conflict, Table};

/// The longest line, in bytes: an app with six forms of pages of 64 KiB, each byte of which may be
/// escaped by six, and as much again for the rest.
pub const MAX_LINE: usize = 4 << 20;
/// The most mistakes that are told.
pub const MAX_MISTAKES: usize = 100;

/// A table that is being uploaded.
#[derive(Debug)]
pub struct Upload {
    settings: Arc<Settings>,
    table: Table,
    header: Option<Header>,
    /// What came of a line that is not whole yet.
    part: Vec<u8>,
    line: usize,
    mistakes: Vec<(usize, Mistake)>,
}

impl Upload {
    /// Begins one with an empty table.
    pub(super) fn new(settings: Arc<Settings>, table: Table) -> Upload {
        let (part, mistakes) = (Vec::new(), Vec::new());
        Upload { settings, table, header: None, part, line: 0, mistakes }
    }

    /// Takes a piece of it, which may end within a line. False: it is refused already, and nothing
    /// of what follows is needed.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            rest = &behind[1..];
            if self.part.is_empty() {
                self.read(line);
            } else {
                self.part.extend_from_slice(line);
                let whole = std::mem::take(&mut self.part);
                self.read(&whole);
            }
            if self.mistakes.len() >= MAX_MISTAKES {
                return false;
            }
        }
        if self.part.len() + rest.len() > MAX_LINE {
            let reason = format!("longer than {MAX_LINE} bytes, which no line is");
            self.mistakes.push((self.line + 1, Mistake::malformed("line", reason)));
            self.part = Vec::new();
            return false;
        }
        self.part.extend_from_slice(rest);
        true
    }

    /// The table that came, or every reason why it is none.
    pub fn finish(mut self) -> Result<Table, PushError> {
        if self.mistakes.len() < MAX_MISTAKES && !self.part.is_empty() {
            let last = std::mem::take(&mut self.part);
            self.read(&last);
        }
        if self.mistakes.is_empty() {
            let found = self.objections();
            self.mistakes.extend(found.into_iter().map(|mistake| (1, mistake)));
        }
        match self.mistakes.is_empty() {
            true => Ok(self.table),
            false => Err(PushError::of_lines(self.mistakes)),
        }
    }

    fn read(&mut self, line: &[u8]) {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return;
        }
        let read = match line::read(line, &self.settings) {
            Ok(Line::Object(change)) => self.put(&change),
            Ok(Line::Header(header)) if self.line == 1 => {
                self.header = Some(header);
                Ok(())
            }
            Ok(Line::Header(_)) => {
                Err(vec![Mistake::malformed("kind", "a table has one header, on its first line")])
            }
            Err(mistakes) => Err(mistakes),
        };
        let room = MAX_MISTAKES - self.mistakes.len();
        let found = read.err().into_iter().flatten().take(room);
        self.mistakes.extend(found.map(|mistake| (self.line, mistake)));
    }

    fn put(&mut self, change: &Change) -> Result<(), Vec<Mistake>> {
        if let Some(twice) = self.stands_already(change) {
            return Err(vec![twice]);
        }
        let before = self.table.counts();
        let refused = match self.table.apply(change) {
            Ok(_) => permit::beyond_bounds(change, before, &self.table, &self.settings),
            Err(Conflict::NoSuchApp(app)) => {
                let reason = format!("no line before this one is app {app}: apps come first");
                Some(Mistake::malformed("app", reason))
            }
            Err(conflict) => Some(ops::refused(&conflict)),
        };
        refused.map_or(Ok(()), |mistake| Err(vec![mistake]))
    }

    /// Says so if a line before was the same object.
    fn stands_already(&self, change: &Change) -> Option<Mistake> {
        let app = |name: &str| self.table.app(name);
        let (field, what) = match change {
            Change::PutApp(name, _) => {
                app(name.as_str())?;
                ("name", format!("app {name}"))
            }
            Change::PutDyno(name, dyno) => {
                app(name.as_str())?.dyno(dyno.name.as_str())?;
                ("name", format!("dyno {} of app {name}", dyno.name))
            }
            Change::PutRoute(key, ..) => {
                ("host", format!("route {key}, of app {},", self.table.route(key)?.name))
            }
            Change::PutCertificate(of) => {
                self.table.certificate(of.name.as_str())?;
                ("name", format!("certificate {}", of.name))
            }
            Change::DeleteCertificate(_)
            | Change::DeleteApp(_)
            | Change::DeleteRoute(..)
            | Change::DeleteDyno(..) => return None,
        };
        Some(Mistake::malformed(field, format!("{what} stands on a line before")))
    }

    /// What speaks against the whole.
    fn objections(&self) -> Vec<Mistake> {
        let Some(Header { digest, apps, routes, dynos, certs }) = &self.header else {
            let nothing = "an empty table is its header alone: {\"v\":1,\"kind\":\"table\"}";
            let empty = self.table.counts().apps == 0;
            return Vec::from_iter(empty.then(|| Mistake::malformed("body", nothing)));
        };
        let mut found = Vec::new();
        let mut check = |field: &str, said: Option<String>, came: String| {
            if let Some(said) = said.filter(|said| *said != came) {
                let reason = format!(
                    "the header says {said:.80}, what came has {came}: it was cut or altered"
                );
                found.push(Mistake::malformed(field, reason));
            }
        };
        let counts = self.table.counts();
        let number = |count: &Option<u64>| count.map(|count| count.to_string());
        check("apps", number(apps), counts.apps.to_string());
        check("routes", number(routes), counts.routes.to_string());
        check("dynos", number(dynos), counts.dynos.to_string());
        check("certs", number(certs), counts.certificates.to_string());
        check("digest", digest.clone(), self.table.digest().to_string());
        found
    }
}
