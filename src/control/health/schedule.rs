//! When which dyno is asked next, and for which there is a slot: pure, the clock and random numbers
//! are arguments.
//!
//! A dyno that is there when the router starts is first asked within its interval, so that not all
//! are at once; one that is new at once, and every [`PROVING`] until it is proven.
//!
//! Slots are shared as a switch shares its memory among ports (Choudhury and Hahne, "Dynamic Queue
//! Length Thresholds", 1998): an app is given one more only while it has fewer than are free. So
//! one app alone has half of them, two have a third each, and an app that has none finds one
//! however long the dynos of the others hang; among those that may, who has fewest comes first.
//! With more apps than slots that is not enough: so dynos that hung the last time, of whatever app,
//! have half of the slots at most, rounded up. Invariants: a dyno has one place, and while it is
//! being asked none but a slot; of equals who is due longest comes first, so that where there is no
//! time for all each is asked more seldom and none never.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use super::settings::Checks;

/// How often a dyno is asked that nobody has answered for yet, at the least.
pub const PROVING: Duration = Duration::from_secs(1);

/// The places of all dynos `D` of all apps `A` that are asked.
#[derive(Debug)]
pub struct Schedule<A, D> {
    free: Free,
    apps: HashMap<A, Places<D>>,
    /// Apps with a dyno that waits, and those with one that hung, by how many slots they have: when
    /// it is due, and which.
    waiting: [BTreeMap<usize, BTreeSet<(u64, A)>>; 2],
}

/// Slots that nobody has.
#[derive(Debug)]
struct Free {
    all: usize,
    /// How many of them dynos may have that hung.
    of_hung: usize,
}

/// Where a dyno stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// None while it is being asked.
    due_ms: Option<u64>,
    /// The last time it had not answered when its time was over.
    hung: bool,
}

/// The places of the dynos of one app.
#[derive(Debug)]
struct Places<D> {
    /// When those are due that are not being asked, and those that hung.
    due: [BTreeSet<(u64, D)>; 2],
    of: HashMap<D, Place>,
    /// Slots that they have.
    slots: usize,
}

impl<A: Ord + Hash + Clone, D: Ord + Hash + Clone> Schedule<A, D> {
    /// One in which so many are asked at a time.
    pub fn new(slots: usize) -> Schedule<A, D> {
        let free = Free { all: slots, of_hung: slots.div_ceil(2) };
        Schedule { free, apps: HashMap::new(), waiting: Default::default() }
    }

    /// Asks that one too, first at `due_ms`; one that is asked already not later than it is due.
    pub fn add(&mut self, app: &A, dyno: D, due_ms: u64) {
        self.change(app, |places, _| match places.of.get(&dyno) {
            Some(Place { due_ms: None, .. }) => {}
            Some(Place { due_ms: Some(before_ms), .. }) if *before_ms <= due_ms => {}
            Some(Place { hung, .. }) => places.put(dyno, due_ms, *hung),
            None => places.put(dyno, due_ms, false),
        });
    }

    /// Asks that one no more; its slot is free, if it had one.
    pub fn remove(&mut self, app: &A, dyno: &D) {
        self.change(app, |places, free| match places.of.remove(dyno) {
            Some(Place { due_ms: Some(due_ms), hung }) => {
                places.due[usize::from(hung)].remove(&(due_ms, dyno.clone()));
            }
            Some(Place { due_ms: None, hung }) => places.give_back(free, hung),
            None => {}
        });
    }

    /// When the next is due of those that there is a slot for.
    pub fn next_ms(&self) -> Option<u64> {
        let first = |apps: &BTreeSet<(u64, A)>| apps.first().map(|(due_ms, _)| *due_ms);
        self.may_be_asked().filter_map(|(_, _, apps)| first(apps)).min()
    }

    /// Takes one that is due at `now_ms`, to be asked, and gives it a slot; tells since when it has
    /// been due.
    pub fn take(&mut self, now_ms: u64) -> Option<(A, D, u64)> {
        let is_due = |(due_ms, _): &&(u64, A)| *due_ms <= now_ms;
        let (_, _, hung, app) = self
            .may_be_asked()
            .filter_map(|(hung, slots, apps)| {
                let (due_ms, app) = apps.first().filter(is_due)?;
                Some((slots, *due_ms, hung, app))
            })
            .min()?;
        let app = app.clone();
        let mut taken = None;
        self.change(&app, |places, free| {
            taken = places.due[hung].pop_first();
            if let Some((_, dyno)) = &taken {
                places.of.insert(dyno.clone(), Place { due_ms: None, hung: hung == 1 });
                places.slots += 1;
                free.all -= 1;
                free.of_hung -= hung;
            }
        });
        taken.map(|(due_ms, dyno)| (app, dyno, due_ms))
    }

    /// That one was asked, and is again at `due_ms`, unless it was removed meanwhile; `hung` says
    /// that its time was over before it answered.
    pub fn put_back(&mut self, app: &A, dyno: D, due_ms: u64, hung: bool) {
        self.change(app, |places, free| {
            if let Some(Place { due_ms: None, hung: before }) = places.of.get(&dyno).copied() {
                places.give_back(free, before);
                places.put(dyno, due_ms, hung);
            }
        });
    }

    /// The apps with a dyno for which there is a slot, once it is due: 1 if it hung, and how many
    /// slots they have.
    fn may_be_asked(&self) -> impl Iterator<Item = (usize, usize, &BTreeSet<(u64, A)>)> {
        let kinds = if self.free.of_hung > 0 { 0..2 } else { 0..1 };
        kinds.flat_map(|hung| {
            let apps = self.waiting[hung].range(..self.free.all);
            apps.map(move |(slots, apps)| (hung, *slots, apps))
        })
    }

    /// Changes the places of an app, and where it stands among the others.
    fn change(&mut self, app: &A, change: impl FnOnce(&mut Places<D>, &mut Free)) {
        let mut places = self.apps.remove(app).unwrap_or_default();
        for (due, waiting) in places.due.iter().zip(&mut self.waiting) {
            if let Some((due_ms, _)) = due.first()
                && let Some(apps) = waiting.get_mut(&places.slots)
            {
                apps.remove(&(*due_ms, app.clone()));
                if apps.is_empty() {
                    waiting.remove(&places.slots);
                }
            }
        }
        change(&mut places, &mut self.free);
        for (due, waiting) in places.due.iter().zip(&mut self.waiting) {
            if let Some((due_ms, _)) = due.first() {
                waiting.entry(places.slots).or_default().insert((*due_ms, app.clone()));
            }
        }
        if !places.of.is_empty() {
            self.apps.insert(app.clone(), places);
        }
    }
}

impl<D> Default for Places<D> {
    fn default() -> Self {
        Places { due: [BTreeSet::new(), BTreeSet::new()], of: HashMap::new(), slots: 0 }
    }
}

impl<D: Ord + Hash + Clone> Places<D> {
    fn put(&mut self, dyno: D, due_ms: u64, hung: bool) {
        let before = self.of.insert(dyno.clone(), Place { due_ms: Some(due_ms), hung });
        if let Some(Place { due_ms: Some(before_ms), hung }) = before {
            self.due[usize::from(hung)].remove(&(before_ms, dyno.clone()));
        }
        self.due[usize::from(hung)].insert((due_ms, dyno));
    }

    fn give_back(&mut self, free: &mut Free, hung: bool) {
        self.slots -= 1;
        free.all += 1;
        free.of_hung += usize::from(hung);
    }
}

/// How long after one check of a dyno the next is; `random` is from 0 to 1.
pub fn pause(checks: &Checks, is_proven: bool, random: f64) -> Duration {
    let interval = if is_proven { checks.interval } else { checks.interval.min(PROVING) };
    let jitter = f64::from(checks.jitter) / 100.0;
    interval.mul_f64(1.0 + jitter * (random - 0.5))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Names = Schedule<&'static str, u32>;

    /// Takes all for which there is a slot; how many of each app.
    fn take_all(schedule: &mut Names, now_ms: u64) -> HashMap<&'static str, usize> {
        let mut taken = HashMap::new();
        while let Some((app, _, _)) = schedule.take(now_ms) {
            *taken.entry(app).or_default() += 1;
        }
        taken
    }

    #[test]
    fn who_is_due_longest_comes_first_and_none_before_its_time() {
        let mut schedule = Names::new(9);
        schedule.add(&"a", 2, 300);
        schedule.add(&"a", 1, 100);
        assert_eq!((schedule.take(99), schedule.next_ms()), (None, Some(100)));
        assert_eq!(schedule.take(400), Some(("a", 1, 100)));
        assert_eq!(schedule.take(400), Some(("a", 2, 300)));
        assert_eq!(schedule.take(400), None, "both are being asked");
        schedule.put_back(&"a", 1, 500, false);
        assert_eq!((schedule.take(499), schedule.take(500)), (None, Some(("a", 1, 500))));
    }

    #[test]
    fn who_is_removed_while_it_is_asked_does_not_come_back_and_leaves_its_slot() {
        let mut schedule = Names::new(1);
        schedule.add(&"a", 1, 0);
        schedule.add(&"b", 1, 0);
        assert_eq!(schedule.take(0), Some(("a", 1, 0)));
        assert_eq!((schedule.take(0), schedule.next_ms()), (None, None), "the slot is taken");
        schedule.remove(&"a", &1);
        schedule.put_back(&"a", 1, 5, false);
        assert_eq!(schedule.take(9), Some(("b", 1, 0)));
        schedule.remove(&"b", &1);
        assert!(schedule.apps.is_empty() && schedule.next_ms().is_none());
    }

    #[test]
    fn one_that_is_added_again_is_due_no_later() {
        let mut schedule = Names::new(2);
        schedule.add(&"a", 1, 50);
        schedule.add(&"a", 1, 90);
        assert_eq!(schedule.next_ms(), Some(50));
        schedule.add(&"a", 1, 20);
        assert_eq!(schedule.take(20), Some(("a", 1, 20)));
        schedule.add(&"a", 1, 30);
        assert_eq!(schedule.take(99), None, "it is being asked");
    }

    /// The dynos of one app answer nothing; the others find slots, and the more such apps there
    /// are, the fewer each of them has.
    #[test]
    fn no_app_takes_the_slots_that_others_need() {
        let mut schedule = Names::new(64);
        (0..80).for_each(|dyno| schedule.add(&"hung", dyno, 0));
        assert_eq!(take_all(&mut schedule, 0), HashMap::from([("hung", 32)]));
        (0..4).for_each(|dyno| schedule.add(&"well", dyno, 10));
        assert_eq!(take_all(&mut schedule, 10), HashMap::from([("well", 4)]));
        (0..4).for_each(|dyno| schedule.put_back(&"well", dyno, 20, false));
        (0..80).for_each(|dyno| schedule.add(&"too", dyno, 0));
        assert_eq!(take_all(&mut schedule, 15), HashMap::from([("too", 16)]));
        assert_eq!(take_all(&mut schedule, 20), HashMap::from([("well", 4)]));
    }

    #[test]
    fn among_those_that_wait_who_has_fewest_slots_comes_first() {
        let mut schedule = Names::new(6);
        (0..9).for_each(|dyno| schedule.add(&"many", dyno, 0));
        assert_eq!(take_all(&mut schedule, 0), HashMap::from([("many", 3)]));
        schedule.put_back(&"many", 0, 0, false);
        schedule.add(&"few", 1, 5);
        assert_eq!(schedule.take(9), Some(("few", 1, 5)), "though others are due for longer");
    }

    /// More apps than slots, with a dyno each that does not answer: those whose dynos do find slots
    /// all the same, once it is known.
    #[test]
    fn dynos_that_hung_have_half_of_the_slots() {
        let mut schedule = Schedule::<u32, u32>::new(64);
        let all = |schedule: &mut Schedule<u32, u32>, now_ms| {
            std::iter::from_fn(|| schedule.take(now_ms)).map(|(app, ..)| app).collect::<Vec<_>>()
        };
        (0..100).for_each(|app| schedule.add(&app, 0, 0));
        for expected in [64, 36] {
            let taken = all(&mut schedule, 5);
            assert_eq!(taken.len(), expected, "nobody knows yet");
            taken.iter().for_each(|app| schedule.put_back(app, 0, 10, true));
        }
        assert_eq!(all(&mut schedule, 10).len(), 32);
        assert_eq!(schedule.next_ms(), None);
        (100..140).for_each(|app| schedule.add(&app, 0, 20));
        let well = all(&mut schedule, 20);
        assert!(well.len() == 32 && well.iter().all(|app| *app >= 100), "{well:?}");
        schedule.put_back(&well[0], 0, 30, false);
        assert_eq!(schedule.take(20), Some((132, 0, 20)));
        // One that answered, or left, makes room for another that did not.
        schedule.put_back(&0, 0, 90, false);
        assert_eq!(schedule.take(20), Some((32, 0, 10)));
        schedule.remove(&1, &0);
        assert_eq!((schedule.take(20), schedule.take(20)), (Some((33, 0, 10)), None));
    }

    #[test]
    fn a_check_is_moved_by_its_jitter_and_a_new_dyno_is_asked_often() {
        let checks = Checks { jitter: 20, ..Checks::default() };
        let ms = |is_proven, random| pause(&checks, is_proven, random).as_millis();
        assert_eq!([0.0, 0.5, 1.0].map(|random| ms(true, random)), [9_000, 10_000, 11_000]);
        assert_eq!(ms(false, 0.5), 1_000);
    }

    proptest! {
        /// Whatever is added, asked and removed: everybody has one place, every slot one owner, and
        /// while there is a slot an app that has none waits for nothing but its time.
        #[test]
        fn nobody_is_lost_or_there_twice(
            slots in 1usize..9,
            steps in proptest::collection::vec((0u8..5, 0u8..4, 0u8..8, 0u64..50), 0..200),
        ) {
            let (mut schedule, mut now_ms) = (Schedule::new(slots), 0);
            let mut asked: Vec<(u8, u8)> = Vec::new();
            for (what, app, dyno, later) in steps {
                now_ms += later;
                match what {
                    0 | 1 => schedule.add(&app, dyno, now_ms + later),
                    2 => {
                        schedule.remove(&app, &dyno);
                        asked.retain(|one| *one != (app, dyno));
                    }
                    3 => asked.extend(schedule.take(now_ms).map(|(app, dyno, _)| (app, dyno))),
                    _ => {
                        if let Some((app, dyno)) = asked.pop() {
                            schedule.put_back(&app, dyno, now_ms + later, later % 2 == 0);
                        }
                    }
                }
                prop_assert_eq!(schedule.free.all + asked.len(), slots);
                let (mut waiting, mut hung_asked) = (0, 0);
                for (app, places) in &schedule.apps {
                    let under_way = asked.iter().filter(|(of, _)| of == app).count();
                    prop_assert_eq!(places.slots, under_way);
                    let due = places.due.each_ref().map(BTreeSet::len);
                    prop_assert_eq!(places.of.len(), due[0] + due[1] + under_way);
                    let is_hung = |place: &&Place| place.hung && place.due_ms.is_none();
                    hung_asked += places.of.values().filter(is_hung).count();
                    for (hung, due) in [(false, &places.due[0]), (true, &places.due[1])] {
                        for (due_ms, dyno) in due {
                            let place = Place { due_ms: Some(*due_ms), hung };
                            prop_assert_eq!(places.of.get(dyno), Some(&place));
                        }
                        let Some((due_ms, _)) = due.first() else { continue };
                        waiting += 1;
                        let filed = &schedule.waiting[usize::from(hung)][&places.slots];
                        prop_assert!(filed.contains(&(*due_ms, *app)));
                        let free = &schedule.free;
                        let has_room = free.all > 0 && (!hung || free.of_hung > 0);
                        if under_way == 0 && *due_ms <= now_ms && has_room {
                            prop_assert!(schedule.next_ms().is_some_and(|next| next <= now_ms));
                        }
                    }
                }
                prop_assert_eq!(schedule.free.of_hung + hung_asked, slots.div_ceil(2));
                let filed = schedule.waiting.iter().flat_map(BTreeMap::values);
                let filed = filed.map(BTreeSet::len).sum::<usize>();
                prop_assert_eq!(filed, waiting);
            }
        }
    }
}
