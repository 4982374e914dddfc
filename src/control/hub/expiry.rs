//! When each dyno with a time to live leaves the table unless it is pushed again.
//!
//! Invariants: pure, the clock is the caller's and only goes on; a dyno with a time to live has one
//! moment, every other none, so that it holds no more than the table has dynos; a dyno that is due
//! and stays, whoever kept it, is tried again later; a protected app keeps its last dyno.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::times::Times;
use crate::route::{AppName, Dyno, DynoName, Table};

/// A dyno, by its app's name and its own.
pub type DynoKey = (AppName, DynoName);

/// Why a dyno left.
pub const REASON: &str = "expired: not renewed in time";
/// How long dynos that are due and stay are left alone, and so much more for each of them: what is
/// tried again in vain costs the hub little.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_EACH: Duration = Duration::from_micros(100);

/// The moments of all dynos.
#[derive(Debug, Default)]
pub struct Expiry {
    moments: Times<DynoKey>,
    /// Those that are due and stay.
    overdue: HashSet<DynoKey>,
}

/// What is due.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Due {
    /// What is to leave.
    pub leaving: Vec<DynoKey>,
    /// The last of protected apps.
    pub kept: Vec<DynoKey>,
}

impl Expiry {
    /// Gives every dyno of a table its whole time, and `grace` at least: who renews them may have
    /// found nobody to talk to for a while.
    pub fn begin(table: &Table, grace: Duration, now: Instant) -> Expiry {
        let mut expiry = Expiry::default();
        for (_, app) in table.apps().iter() {
            for dyno in &app.dynos {
                let time = time_to_live(dyno).map(|time| now + time.max(grace));
                expiry.moments.set(&(app.name.clone(), dyno.name.clone()), time);
            }
        }
        expiry
    }

    /// How many dynos have a time to live.
    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// How many are due and stay.
    pub fn overdue(&self) -> usize {
        self.overdue.len()
    }

    /// When the next one is due, or tried again.
    pub fn next(&self) -> Option<Instant> {
        self.moments.first()
    }

    /// These dynos were pushed, or removed, as the table has it now.
    pub fn follow<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a DynoKey>,
        table: &Table,
        now: Instant,
    ) {
        for key in keys {
            let dyno = table.app(key.0.as_str()).and_then(|app| app.dyno(key.1.as_str()));
            let time = dyno.and_then(|dyno| time_to_live(dyno)).map(|time| now + time);
            self.moments.set(key, time);
            self.overdue.remove(key);
        }
    }

    /// What is due.
    pub fn due(&self, table: &Table, now: Instant) -> Due {
        let mut due = Due::default();
        let mut left = HashMap::new();
        // The one that was renewed last stays.
        let keys: Vec<&DynoKey> = self.moments.due(now).collect();
        for key in &keys {
            let app = table.app(key.0.as_str()).filter(|app| app.settings.protected);
            let Some(app) = app else {
                due.leaving.push((*key).clone());
                continue;
            };
            let left = left.entry(&key.0).or_insert(app.dynos.len());
            let to = if *left > 1 { &mut due.leaving } else { &mut due.kept };
            to.push((*key).clone());
            *left -= 1;
        }
        due
    }

    /// These are due and stay for now; answers how many of them were not told of before.
    pub fn hold(&mut self, keys: &[DynoKey], now: Instant) -> usize {
        let each = AGAIN_EACH.saturating_mul(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        let mut new = 0;
        for key in keys {
            self.moments.set(key, Some(now + AGAIN + each));
            new += usize::from(self.overdue.insert(key.clone()));
        }
        new
    }
}

fn time_to_live(dyno: &Dyno) -> Option<Duration> {
    dyno.ttl_s.map(|ttl_s| Duration::from_secs(ttl_s.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{AppSettings, Change, DynoAddr, DynoState};

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    fn key(of: &str, name: &str) -> DynoKey {
        (app(of), DynoName::parse(name).unwrap())
    }

    fn put(table: &mut Table, of: &str, name: &str, ttl_s: Option<u32>) {
        let addr = DynoAddr::parse("10.0.0.1:80").unwrap();
        let (name, release) = (DynoName::parse(name).unwrap(), "".into());
        let dyno = Dyno { name, addr, release, weight: 100, state: DynoState::Up, ttl_s };
        table.apply(&Change::PutDyno(app(of), dyno)).unwrap();
    }

    fn table(protected: bool) -> Table {
        let mut table = Table::new(1);
        let settings = AppSettings { protected, ..AppSettings::default() };
        table.apply(&Change::PutApp(app("blog"), settings)).unwrap();
        table
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_start_gives_the_grace_at_least_and_a_push_the_time_to_live() {
        let (mut table, now) = (table(false), Instant::now());
        for (name, ttl_s) in [("a", Some(5)), ("b", Some(60)), ("c", None)] {
            put(&mut table, "blog", name, ttl_s);
        }
        let mut expiry = Expiry::begin(&table, s(30), now);
        assert_eq!((expiry.len(), expiry.next()), (2, Some(now + s(30))));
        let names = |expiry: &Expiry, at| -> Vec<String> {
            expiry.due(&table, at).leaving.iter().map(|(_, name)| name.to_string()).collect()
        };
        assert_eq!(names(&expiry, now + s(29)), [""; 0]);
        assert_eq!(names(&expiry, now + s(30)), ["a"]);
        assert_eq!(names(&expiry, now + s(60)), ["a", "b"]);
        expiry.follow(&[key("blog", "a")], &table, now + s(40));
        assert_eq!(expiry.next(), Some(now + s(45)));
        let mut less = table.clone();
        put(&mut less, "blog", "b", None);
        less.apply(&Change::DeleteDyno(app("blog"), "a".into())).unwrap();
        expiry.follow(&[key("blog", "a"), key("blog", "b")], &less, now);
        assert_eq!((expiry.len(), expiry.next()), (0, None));
    }

    #[test]
    fn a_protected_app_keeps_the_dyno_that_was_renewed_last() {
        let (mut table, now) = (table(true), Instant::now());
        for (name, ttl_s) in [("a", 3), ("b", 1), ("c", 2)] {
            put(&mut table, "blog", name, Some(ttl_s));
        }
        let expiry = Expiry::begin(&table, s(0), now);
        let due = expiry.due(&table, now + s(3));
        let leaving = vec![key("blog", "b"), key("blog", "c")];
        assert_eq!(due, Due { leaving, kept: vec![key("blog", "a")] });
        put(&mut table, "blog", "d", None);
        assert_eq!(expiry.due(&table, now + s(3)).kept, []);
    }

    #[test]
    fn what_stays_is_told_once_and_tried_again() {
        let (mut table, now) = (table(false), Instant::now());
        put(&mut table, "blog", "a", Some(1));
        let mut expiry = Expiry::begin(&table, s(0), now);
        let keys = [key("blog", "a")];
        assert_eq!(expiry.hold(&keys, now + s(1)), 1);
        assert_eq!((expiry.overdue(), expiry.next()), (1, Some(now + s(1) + AGAIN + AGAIN_EACH)));
        assert_eq!(expiry.hold(&keys, now + s(3)), 0);
        expiry.follow(&keys, &table, now + s(4));
        assert_eq!((expiry.overdue(), expiry.next()), (0, Some(now + s(5))));
    }
}
