//! The routers that follow, and the last word of each on how far it is.
//!
//! A router is live for [`LIVE`] after its last sign: an ack, or a piece of the feed that it took.
//! Invariants: for as long as a router is live, one token and the admin's own alone speak for it;
//! at most [`MAX_ROUTERS`] are known and [`SHARE`] of one token live, and to make room the one that
//! was dead the longest is forgotten, never a live one; time is an argument.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep_until};

use crate::route::Revision;

/// How long after its last sign a router counts as live.
pub const LIVE: Duration = Duration::from_secs(15);
/// The most routers that are known.
pub const MAX_ROUTERS: usize = 1000;
/// The most live routers that one token speaks for; the admin's own has no such bound.
pub const SHARE: usize = 64;

/// Who speaks for a router, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speaker<'a> {
    /// Its token, by the id; None is the admin's own, which may speak for any router.
    pub token: Option<&'a str>,
    /// Its address.
    pub address: Option<&'a str>,
}

/// A router's word that all of its workers serve a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The revision.
    pub revision: Revision,
    /// The digest that it computed, if it told one.
    pub digest: Option<String>,
    /// Is that the digest of the revision? None if it told none, or none is known.
    pub digest_ok: Option<bool>,
    /// How many workers it has, if it told.
    pub workers: Option<u64>,
    /// Which release it runs, if it told.
    pub version: Option<String>,
}

/// What is known of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterState {
    /// Its last ack; none yet from one that only follows.
    pub ack: Option<Ack>,
    /// The token that first spoke for it since it is live; None is the admin's own.
    pub token: Option<String>,
    /// Where its last sign came from.
    pub address: Option<String>,
    /// When its last sign came.
    pub seen: Instant,
}

impl RouterState {
    /// Is it live?
    pub fn is_live(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) < LIVE
    }

    fn serves(&self, revision: Revision) -> bool {
        // Who has another table than that of the revision it names does not serve it.
        let serves = |ack: &Ack| ack.revision >= revision && ack.digest_ok != Some(false);
        self.ack.as_ref().is_some_and(serves)
    }
}

/// Which live routers serve a revision, and which do not, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Served {
    /// These do.
    pub serving: Vec<String>,
    /// These do not.
    pub behind: Vec<String>,
}

/// Why a sign of a router is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is live, and another token's.
    #[error("another token speaks for this router, for as long as it is live")]
    Anothers,
    /// The token has its share.
    #[error("this token speaks for {SHARE} live routers already, the most that one may")]
    Share,
    /// All places are taken by live routers.
    #[error("{MAX_ROUTERS} routers are live already, the most that are known")]
    Full,
}

/// The routers that follow.
#[derive(Debug, Default)]
pub struct Fleet {
    routers: Mutex<BTreeMap<String, RouterState>>,
    /// Counts the acks.
    acks: watch::Sender<u64>,
}

impl Fleet {
    /// Notes a sign of a router.
    pub fn seen(&self, id: &str, from: Speaker<'_>, now: Instant) -> Result<(), NotTaken> {
        self.note(id, from, now, None)
    }

    /// Notes a router's ack.
    pub fn ack(&self, id: &str, from: Speaker<'_>, now: Instant, ack: Ack) -> Result<(), NotTaken> {
        self.note(id, from, now, Some(ack))?;
        self.acks.send_modify(|count| *count += 1);
        Ok(())
    }

    fn note(
        &self,
        id: &str,
        from: Speaker<'_>,
        now: Instant,
        ack: Option<Ack>,
    ) -> Result<(), NotTaken> {
        let mut routers = self.routers();
        let known = routers.get_mut(id);
        if let Some(router) = known.filter(|router| router.is_live(now)) {
            if from.token.is_some() && from.token != router.token.as_deref() {
                return Err(NotTaken::Anothers);
            }
            router.seen = now;
            if router.address.as_deref() != from.address {
                router.address = from.address.map(Into::into);
            }
            if ack.is_some() {
                router.ack = ack;
            }
            return Ok(());
        }
        if from.token.is_some() && live_of(&routers, from.token, now) >= SHARE {
            return Err(NotTaken::Share);
        }
        let before = routers.remove(id);
        if routers.len() >= MAX_ROUTERS {
            let dead = routers.iter().filter(|(_, router)| !router.is_live(now));
            let oldest = dead.min_by_key(|(_, router)| router.seen).map(|(id, _)| id.clone());
            routers.remove(&oldest.ok_or(NotTaken::Full)?);
        }
        let token = from.token.map(Into::into);
        // What another token said of it is not taken over.
        let before = before.filter(|before| before.token == token).and_then(|before| before.ack);
        let (ack, address) = (ack.or(before), from.address.map(Into::into));
        routers.insert(id.into(), RouterState { ack, token, address, seen: now });
        Ok(())
    }

    /// Every router that is known, sorted by id.
    pub fn list(&self) -> Vec<(String, RouterState)> {
        self.routers().iter().map(|(id, router)| (id.clone(), router.clone())).collect()
    }

    /// Waits until every live router serves a revision, or until `deadline`: a router that dies is
    /// not waited for, nor is one that comes later forgotten.
    pub async fn served(&self, revision: Revision, deadline: Instant) -> Served {
        let mut acks = self.acks.subscribe();
        loop {
            acks.mark_unchanged();
            let now = Instant::now();
            let (served, next) = self.look(revision, now);
            if served.behind.is_empty() || now >= deadline {
                return served;
            }
            let wake = next.map_or(deadline, |next| next.min(deadline));
            tokio::select! {
                _ = acks.changed() => {}
                () = sleep_until(wake.into()) => {}
            }
        }
    }

    /// Who serves a revision at `now`, and when the first of those who do not may be dead.
    fn look(&self, revision: Revision, now: Instant) -> (Served, Option<Instant>) {
        let routers = self.routers();
        let (mut served, mut next) = (Served::default(), None::<Instant>);
        for (id, router) in routers.iter().filter(|(_, router)| router.is_live(now)) {
            if router.serves(revision) {
                served.serving.push(id.clone());
            } else {
                served.behind.push(id.clone());
                let dies = router.seen + LIVE;
                next = Some(next.map_or(dies, |next| next.min(dies)));
            }
        }
        (served, next)
    }

    fn routers(&self) -> MutexGuard<'_, BTreeMap<String, RouterState>> {
        // Each step leaves the map whole.
        self.routers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many live routers a token speaks for.
fn live_of(routers: &BTreeMap<String, RouterState>, token: Option<&str>, now: Instant) -> usize {
    let its = |router: &&RouterState| router.token.as_deref() == token && router.is_live(now);
    routers.values().filter(its).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADMIN: Speaker<'_> = Speaker { token: None, address: None };

    fn of(token: &str) -> Speaker<'_> {
        Speaker { token: Some(token), address: None }
    }

    fn ack(revision: u64) -> Ack {
        let (digest, digest_ok, workers, version) = Default::default();
        Ack { revision: Revision(revision), digest, digest_ok, workers, version }
    }

    fn who(fleet: &Fleet, revision: u64, now: Instant) -> (Vec<String>, Vec<String>) {
        let (Served { serving, behind }, _) = fleet.look(Revision(revision), now);
        (serving, behind)
    }

    #[test]
    fn a_router_is_asked_for_as_long_as_it_is_live() {
        let (fleet, began) = (Fleet::default(), Instant::now());
        fleet.ack("a", ADMIN, began, ack(5)).unwrap();
        fleet.seen("b", ADMIN, began).unwrap();
        assert_eq!(who(&fleet, 5, began), (vec!["a".into()], vec!["b".into()]));
        assert_eq!(who(&fleet, 6, began).1.len(), 2);
        // A sign alone is no ack, and takes none back.
        let later = began + LIVE - Duration::from_millis(1);
        let from = Speaker { address: Some("10.0.0.1"), ..ADMIN };
        fleet.seen("a", from, later).unwrap();
        assert_eq!(who(&fleet, 5, began + LIVE), (vec!["a".into()], vec![]));
        assert_eq!(fleet.list()[0].1.address.as_deref(), Some("10.0.0.1"));
        assert_eq!(fleet.list().len(), 2, "the dead are listed");
    }

    #[test]
    fn who_acks_with_another_tables_digest_serves_nothing() {
        let (fleet, now) = (Fleet::default(), Instant::now());
        fleet.ack("a", ADMIN, now, Ack { digest_ok: Some(false), ..ack(5) }).unwrap();
        assert_eq!(who(&fleet, 4, now), (vec![], vec!["a".into()]));
        fleet.ack("a", ADMIN, now, Ack { digest_ok: Some(true), ..ack(5) }).unwrap();
        assert_eq!(who(&fleet, 4, now), (vec!["a".into()], vec![]));
    }

    #[test]
    fn the_one_that_was_dead_the_longest_makes_room_and_no_live_one_does() {
        let (fleet, began) = (Fleet::default(), Instant::now());
        for i in 0..MAX_ROUTERS {
            let at = began + Duration::from_millis(i as u64);
            fleet.seen(&format!("r{i:04}"), ADMIN, at).unwrap();
        }
        assert_eq!(fleet.seen("new", ADMIN, began + LIVE / 2), Err(NotTaken::Full));
        fleet.seen("r0000", ADMIN, began + LIVE).unwrap();
        fleet.seen("new", ADMIN, began + LIVE + Duration::from_millis(1)).unwrap();
        let ids: Vec<_> = fleet.list().into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), MAX_ROUTERS);
        assert!(ids.contains(&"r0000".into()) && !ids.contains(&"r0001".into()), "{:?}", ids[1]);
    }

    #[test]
    fn a_live_router_is_one_tokens_and_the_admins() {
        let (fleet, began) = (Fleet::default(), Instant::now());
        fleet.ack("a", of("t"), began, ack(5)).unwrap();
        assert_eq!(fleet.ack("a", of("u"), began, ack(9)), Err(NotTaken::Anothers));
        assert_eq!(fleet.seen("a", of("u"), began), Err(NotTaken::Anothers));
        assert_eq!(who(&fleet, 6, began).1, ["a"], "what was refused left no trace");
        fleet.ack("a", ADMIN, began, ack(6)).unwrap();
        assert_eq!(fleet.seen("a", of("u"), began), Err(NotTaken::Anothers));
        fleet.seen("a", of("t"), began).unwrap();
        // A dead one is whose who comes first, and serves nothing until that one says so.
        fleet.seen("a", of("u"), began + LIVE).unwrap();
        assert_eq!(who(&fleet, 0, began + LIVE).1, ["a"]);
        assert_eq!(fleet.seen("a", of("t"), began + LIVE), Err(NotTaken::Anothers));
        fleet.ack("b", ADMIN, began, ack(5)).unwrap();
        assert_eq!(fleet.seen("b", of("t"), began), Err(NotTaken::Anothers));
    }

    #[test]
    fn a_token_has_its_share_of_live_routers_and_leaves_room_for_others() {
        let (fleet, began) = (Fleet::default(), Instant::now());
        for i in 0..SHARE {
            fleet.seen(&format!("junk-{i}"), of("t"), began).unwrap();
        }
        assert_eq!(fleet.seen("one-more", of("t"), began), Err(NotTaken::Share));
        fleet.seen("junk-0", of("t"), began).unwrap();
        fleet.seen("edge", of("u"), began).unwrap();
        // The dead are not counted, and give way.
        for i in 0..2 * MAX_ROUTERS {
            let at = began + LIVE * u32::try_from(1 + i / SHARE).unwrap();
            fleet.seen(&format!("more-{i}"), of("t"), at).unwrap();
        }
        assert_eq!(fleet.list().len(), MAX_ROUTERS);
    }

    #[tokio::test]
    async fn a_wait_ends_with_the_last_ack_or_at_its_deadline() {
        let fleet = std::sync::Arc::new(Fleet::default());
        fleet.seen("a", ADMIN, Instant::now()).unwrap();
        let nobody = fleet.served(Revision(0), Instant::now()).await;
        assert_eq!(nobody.behind, ["a"], "who never acked serves nothing");
        let (waiting, deadline) = (fleet.clone(), Instant::now() + Duration::from_secs(3600));
        let wait = tokio::spawn(async move { waiting.served(Revision(7), deadline).await });
        tokio::task::yield_now().await;
        fleet.ack("a", ADMIN, Instant::now(), ack(6)).unwrap();
        tokio::task::yield_now().await;
        assert!(!wait.is_finished());
        fleet.ack("a", ADMIN, Instant::now(), ack(7)).unwrap();
        assert_eq!(wait.await.unwrap().serving, ["a"]);
    }
}
