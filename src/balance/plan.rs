//! How an app wants its dynos to be chosen, made ready for the choice.
//!
//! Invariants: made when the app changes, never for a request; what it holds of the dynos is by
//! their places among the app's; the default is for dynos of one weight and holds nothing of them.

use super::{Candidate, Counts, Fit, ONE_WEIGHT, alias::Alias, candidate::Bar, ring, ring::Ring};

/// Which dyno gets the next exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// The better of two random ones.
    #[default]
    P2c,
    /// One of those with the fewest exchanges beside their weight.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// Always the same for the same key.
    Hash,
    /// One that has none.
    OneAtATime,
}

/// What of an app the plan is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Which dyno gets the next exchange.
    pub algorithm: Algorithm,
    /// Where hashes decide, a dyno has at most so many percent of the mean; 0: any number.
    pub bound: u32,
    /// The app's dynos.
    pub dynos: Vec<Share>,
    /// The hash of each release's name and its share among requests; none: they are not told apart.
    pub releases: Vec<(u64, u32)>,
    /// Requests of one key go to one release.
    pub sticky: bool,
}

/// A dyno's part in a [`Wish`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The hash of its name.
    pub name: u64,
    /// Its weight.
    pub weight: u16,
    /// Which of the wish's releases it is of.
    pub release: Option<usize>,
}

/// How the dynos of an app are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Which dyno gets the next exchange.
    pub algorithm: Algorithm,
    pub(super) bound: u32,
    pub(super) all: Lot,
    pub(super) split: Option<Box<Split>>,
}

/// Dynos among whom is chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lot {
    /// Their weights, where they differ.
    pub odds: Option<Alias>,
    /// The weight of each if they do not differ; else the largest.
    pub most: u32,
    /// The mean of their weights.
    pub mean: u32,
    /// Whose a key is.
    pub ring: Option<Ring>,
}

/// The releases of an app, by weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Split {
    pub odds: Alias,
    /// A key's release is to stay the same.
    pub sticky: bool,
    pub parts: Box<[Part]>,
    /// Of each of the app's dynos: is it of one of the parts?
    pub has_share: Box<[bool]>,
}

/// The dynos of a release.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub lot: Lot,
    /// Their places among the app's.
    pub members: Box<[u32]>,
    /// The hash of its name.
    pub name: u64,
    /// Its share, more than 0.
    pub share: u32,
}

/// What one choice takes from outside.
#[derive(Debug)]
pub struct Draw<'a, R, T, C> {
    /// What the request is hashed by, if it is.
    pub key: Option<u64>,
    /// What the app's fit dynos are on the whole, where that is at hand.
    pub fit: Option<Fit>,
    /// What each of the app's dynos has in flight, side by side, where that is at hand.
    pub abreast: Option<Counts<'a, C>>,
    /// `random(n)` answers a number below `n`.
    pub random: R,
    /// Answers how often it was asked before, by all choices among the dynos of this release of
    /// the plan, or among all of the app's: each has turns of its own, so that nobody's requests
    /// that come in step with another's turn find the same dyno each time.
    pub turn: T,
}

impl Default for Plan {
    fn default() -> Self {
        let one = u32::from(DEFAULT_WEIGHT) * ONE_WEIGHT;
        let all = Lot { odds: None, most: one, mean: one, ring: None };
        Plan { algorithm: Algorithm::default(), bound: 0, all, split: None }
    }
}

/// The weight of the dynos that the default plan is for.
pub const DEFAULT_WEIGHT: u16 = 100;

impl Plan {
    /// Makes the plan.
    pub fn new(wish: &Wish) -> Plan {
        let hashed = wish.algorithm == Algorithm::Hash;
        let all: Vec<u32> = (0..wish.dynos.len() as u32).collect();
        Plan {
            algorithm: wish.algorithm,
            bound: wish.bound,
            all: Lot::new(&wish.dynos, &all, hashed),
            split: Split::new(wish, hashed).map(Box::new),
        }
    }

    /// The most exchanges of a dyno; 0: any number.
    pub fn most_in_flight(&self) -> u32 {
        u32::from(self.algorithm == Algorithm::OneAtATime)
    }

    /// Is the least of all dynos wanted, releases not being told apart?
    pub fn is_of_least(&self) -> bool {
        self.algorithm == Algorithm::LeastRequest && self.split.is_none()
    }

    /// The dynos of one of its releases, or all.
    pub(super) fn lot(&self, part: Option<usize>) -> &Lot {
        let of = part.zip(self.split.as_ref()).map(|(at, split)| &split.parts[at].lot);
        of.unwrap_or(&self.all)
    }

    /// Is the dyno of a release that has a share, or are releases not told apart?
    pub fn has_share(&self, at: usize) -> bool {
        self.split.as_ref().is_none_or(|split| split.has_share[at])
    }

    /// Bars the dynos of releases without a share, if one with a share can serve, or will be able
    /// to as soon as it has room, or others can have it.
    pub fn leave_out(&self, candidates: &mut [Candidate]) {
        let Some(split) = &self.split else { return };
        let serves = |(of, has_share): (&Candidate, &bool)| {
            *has_share && matches!(of.bar, None | Some(Bar::Full | Bar::Tried))
        };
        if candidates.iter().zip(&split.has_share).any(serves) {
            let without = candidates.iter_mut().zip(&split.has_share).filter(|(_, has)| !**has);
            // Nobody waits for its room.
            let may = |(of, _): &(&mut Candidate, _)| matches!(of.bar, None | Some(Bar::Full));
            without.filter(may).for_each(|(of, _)| of.bar = Some(Bar::Shareless));
        }
    }

    /// The hash of the name of each release that has a share.
    pub fn releases(&self) -> impl Iterator<Item = u64> {
        self.split.iter().flat_map(|split| &split.parts).map(|part| part.name)
    }

    /// How the choice among the fit is made, for people.
    pub fn how(&self) -> &'static str {
        match self.algorithm {
            Algorithm::P2c => {
                "two candidates are drawn at random, by weight; the first gets it unless the \
                 second is of the lower cost, (in_flight ÷ weight × mean weight + 1) × latency, \
                 and would be with one more; one of 64 requests goes to the first, so that no \
                 latency is out of date"
            }
            Algorithm::LeastRequest => {
                "a candidate is drawn at random, by weight, and gets it if none has less in flight \
                 beside its weight, in_flight ÷ weight; else the one gets it that will have the \
                 least with it, (in_flight + 1) ÷ weight, of equals one at random, by weight"
            }
            Algorithm::RoundRobin => "the candidates take turns, by weight",
            Algorithm::Random => "any of the candidates, by weight",
            Algorithm::Hash => {
                "the key of the request decides; a candidate that has more than its bound passes \
                 it on, and a request without a key goes where the better of two random ones is"
            }
            Algorithm::OneAtATime => "any of the candidates without an exchange, by weight",
        }
    }
}

impl Lot {
    fn new(dynos: &[Share], members: &[u32], hashed: bool) -> Lot {
        let share = |at: &u32| &dynos[*at as usize];
        let weights: Vec<u32> =
            members.iter().map(|at| u32::from(share(at).weight.max(1)) * ONE_WEIGHT).collect();
        let most = weights.iter().copied().max().unwrap_or(ONE_WEIGHT);
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let names = || members.iter().map(|at| share(at).name).collect::<Vec<_>>();
        Lot {
            odds: weights.iter().any(|weight| *weight != most).then(|| Alias::new(&weights)),
            most,
            mean: sum.checked_div(weights.len() as u64).map_or(most, |mean| mean as u32),
            ring: hashed.then(|| Ring::new(&names(), &weights)).flatten(),
        }
    }

    /// The whole weight of one.
    pub fn weight(&self, at: usize) -> u32 {
        self.odds.as_ref().map_or(self.most, |odds| odds.weight(at))
    }
}

impl Split {
    fn new(wish: &Wish, hashed: bool) -> Option<Split> {
        let part = |(release, (name, share)): (usize, &(u64, u32))| {
            let is_of = |at: &u32| wish.dynos[*at as usize].release == Some(release);
            let members: Box<[u32]> = (0..wish.dynos.len() as u32).filter(is_of).collect();
            let lot = Lot::new(&wish.dynos, &members, hashed);
            (*share > 0).then_some(Part { lot, members, name: *name, share: *share })
        };
        let parts: Box<[Part]> = wish.releases.iter().enumerate().filter_map(part).collect();
        let shares: Vec<u32> = parts.iter().map(|part| part.share).collect();
        let odds = Alias::new(&shares);
        let share = |of: usize| wish.releases.get(of).map_or(0, |(_, share)| *share);
        let has_share = |dyno: &Share| dyno.release.is_some_and(|of| share(of) > 0);
        let has_share = wish.dynos.iter().map(has_share).collect();
        (!parts.is_empty()).then_some(Split { odds, sticky: wish.sticky, parts, has_share })
    }

    /// Which of the parts is a request's.
    pub fn draw(&self, key: Option<u64>, random: &mut impl FnMut(usize) -> usize) -> usize {
        let shares = self.parts.iter().map(|part| (part.name, part.share));
        let kept = key.filter(|_| self.sticky).and_then(|key| ring::of_few(shares, key));
        kept.unwrap_or_else(|| self.odds.draw(random))
    }
}
