//! The ledger: what each client saw of each of its requests, beside what the log says of it.
//!
//! A request bears its number in its path, `/KIND/NUMBER`, so that its line can be found. Both
//! sides enter status and code, and the length of the answer's body where the client got it whole;
//! they have to be equal. Invariants: a number is entered once by each side; an entry that both
//! made and that agrees is forgotten, so that memory does not grow with time; the one exception
//! to numbers are heads that were never sent whole, which are counted by code.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hostler::error::Fault;

/// How many failures are told in full.
const SHOWN: usize = 20;

/// How an exchange ended, from one side.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The status that the client was sent; 499 where it left before one.
    pub status: u16,
    /// The fault's code; empty for a dyno's whole answer.
    pub code: &'static str,
    /// The length of the body; unknown where the client did not get all of it.
    pub bytes: Option<u64>,
}

impl Outcome {
    fn agrees(&self, other: &Outcome) -> bool {
        // Of a fault's page the log need not tell.
        let both = self.bytes.zip(other.bytes).filter(|_| self.code.is_empty());
        let bytes = both.is_none_or(|(one, other)| one == other);
        (self.status, self.code) == (other.status, other.code) && bytes
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.status, self.code, self.bytes)
    }
}

#[derive(Clone, Copy)]
enum Entry {
    Client(Outcome),
    Log(Outcome),
}

/// How often a code came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    /// To clients.
    pub seen: u64,
    /// In the log.
    pub logged: u64,
}

#[derive(Default)]
struct Books {
    open: HashMap<u64, Entry>,
    codes: BTreeMap<&'static str, Count>,
    strays: BTreeMap<&'static str, Count>,
    kinds: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
    failed: u64,
}

/// The ledger.
#[derive(Default)]
pub struct Ledger {
    next: AtomicU64,
    books: Mutex<Books>,
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next request.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters what a client saw.
    pub fn client(&self, kind: &'static str, number: u64, seen: Outcome) {
        let mut books = self.books();
        *books.kinds.entry(kind).or_default() += 1;
        books.codes.entry(seen.code).or_default().seen += 1;
        match books.open.insert(number, Entry::Client(seen)) {
            None => {}
            Some(Entry::Log(logged)) => books.close(number, &seen, &logged),
            Some(Entry::Client(_)) => books.fail(format!("{kind} {number} ended twice")),
        }
    }

    /// Enters a line of the log.
    pub fn line(&self, line: &str) {
        let mut books = self.books();
        let Some((number, logged)) = read(line) else {
            books.fail(format!("this line cannot be read: {line}"));
            return;
        };
        let Some(number) = number else {
            books.strays.entry(logged.code).or_default().logged += 1;
            return;
        };
        books.codes.entry(logged.code).or_default().logged += 1;
        match books.open.insert(number, Entry::Log(logged)) {
            None => {}
            Some(Entry::Client(seen)) => books.close(number, &seen, &logged),
            Some(Entry::Log(_)) => books.fail(format!("a second line: {line}")),
        }
    }

    /// Enters a client that ended its connection in the middle of its head.
    pub fn stray(&self, kind: &'static str, code: &'static str) {
        let mut books = self.books();
        *books.kinds.entry(kind).or_default() += 1;
        books.strays.entry(code).or_default().seen += 1;
    }

    /// Enters a failure.
    pub fn fail(&self, what: String) {
        self.books().fail(what);
    }

    /// Is every request in both books, and every stray counted by both?
    pub fn is_even(&self) -> bool {
        let books = self.books();
        let is_even = |count: &Count| count.seen == count.logged;
        books.open.is_empty() && books.strays.values().all(is_even)
    }

    /// What is in one book alone becomes a failure.
    pub fn finish(&self) {
        let mut books = self.books();
        let open: Vec<_> = books.open.drain().collect();
        for (number, entry) in open {
            books.fail(match entry {
                Entry::Client(seen) => format!("no line of request {number}: {seen}"),
                Entry::Log(logged) => format!("nobody made request {number} of the log: {logged}"),
            });
        }
        for (code, count) in books.strays.clone() {
            if count.seen != count.logged {
                books.fail(format!("heads that never came whole, {code:?}: {count:?}"));
            }
        }
    }

    /// How often each code came, heads that never came whole included.
    pub fn codes(&self) -> BTreeMap<&'static str, Count> {
        let books = self.books();
        let mut codes = books.codes.clone();
        for (code, stray) in &books.strays {
            let count = codes.entry(code).or_default();
            count.seen += stray.seen;
            count.logged += stray.logged;
        }
        codes
    }

    /// How many requests of each kind ended.
    pub fn kinds(&self) -> BTreeMap<&'static str, u64> {
        self.books().kinds.clone()
    }

    /// How many failures there are, and the first of them.
    pub fn failures(&self) -> (u64, Vec<String>) {
        let books = self.books();
        (books.failed, books.failures.clone())
    }
}

impl Books {
    fn close(&mut self, number: u64, seen: &Outcome, logged: &Outcome) {
        self.open.remove(&number);
        if !seen.agrees(logged) {
            self.fail(format!("request {number}: the client saw {seen}, the log says {logged}"));
        }
    }

    fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < SHOWN {
            self.failures.push(what);
        }
    }
}

/// Number and outcome of a line in logfmt.
fn read(line: &str) -> Option<(Option<u64>, Outcome)> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split(' ').next()
    };
    let path = field(" path=")?.trim_matches('"');
    let number = match path.split('/').nth(2) {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let bytes = field(" bytes=")?.parse().ok();
    let status = field(" status=")?.parse().unwrap_or(0);
    let code = code(field(" code=").unwrap_or_default())?;
    Some((number, Outcome { status, code, bytes }))
}

/// A fault's code as the router spells it; empty stands for none.
pub fn code(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("");
    }
    Fault::ALL.iter().map(|fault| fault.code()).find(|code| *code == text)
}
