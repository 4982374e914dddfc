//! How the dynos of an app are chosen, as its settings say.
//!
//! Invariants: made by the control plane when the app changes, and only if something changes that
//! the choice rests on; apps that have nothing of their own and dynos of the usual weight share
//! one.

use std::sync::Arc;

use super::{LiveApp, key::KeyOf, shadow::Shadow, turns::Turns};
use crate::{
    balance::{Algorithm, Plan, Share, Wish, plan::DEFAULT_WEIGHT, ring::hash},
    route::{App, BalanceAlgorithm, BalanceKey, BalanceShadow, OwnBalance},
};

/// What the settings say of the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Which dyno gets the next exchange.
    pub algorithm: BalanceAlgorithm,
    /// What of a request is its key.
    pub key: BalanceKey,
    /// The header or cookie of that name.
    pub key_name: Arc<str>,
    /// The most of the mean in flight that a key's dyno takes, in percent; 0: any.
    pub bound: u32,
    /// The shares of releases, `v1=90,v2=10`; empty: they are not told apart.
    pub releases: Arc<str>,
    /// Requests of one key stay with one release.
    pub sticky: bool,
    /// Dynos are believed what they say of their load.
    pub reported_load: bool,
    /// A second algorithm beside the first.
    pub shadow: BalanceShadow,
}

/// The same, made ready.
#[derive(Debug)]
pub struct Balancing {
    /// The settings that it was made of.
    of: Balance,
    /// How a dyno is chosen.
    pub plan: Plan,
    /// Whose turn it is in each release.
    pub turns: Turns,
    /// What of a request is its key, if anything is decided by it.
    pub key: Option<KeyOf>,
    /// Dynos are believed what they say of their load.
    pub reported_load: bool,
    /// A second algorithm beside the first.
    pub shadow: Option<Shadow>,
}

impl Default for Balance {
    fn default() -> Self {
        Balance {
            algorithm: BalanceAlgorithm::P2c,
            key: BalanceKey::Address,
            key_name: "".into(),
            bound: 125,
            releases: "".into(),
            sticky: false,
            reported_load: false,
            shadow: BalanceShadow::Off,
        }
    }
}

impl Balance {
    /// These, with an app's own in the place of those that it has.
    pub fn with(&self, own: &OwnBalance) -> Balance {
        Balance {
            algorithm: own.algorithm.unwrap_or(self.algorithm),
            key: own.key.unwrap_or(self.key),
            key_name: own.key_name.as_ref().unwrap_or(&self.key_name).clone(),
            bound: own.bound.unwrap_or(self.bound),
            releases: own.releases.as_ref().unwrap_or(&self.releases).clone(),
            sticky: own.sticky.unwrap_or(self.sticky),
            reported_load: own.reported_load.unwrap_or(self.reported_load),
            shadow: own.shadow.unwrap_or(self.shadow),
        }
    }

    fn wish(&self, algorithm: Algorithm, app: &App) -> Wish {
        let shares = self.releases.split(',').filter_map(|part| part.split_once('='));
        let shares: Vec<(&str, u32)> =
            shares.filter_map(|(release, share)| Some((release, share.parse().ok()?))).collect();
        let dynos = app.dynos.iter().map(|dyno| Share {
            name: hash(dyno.name.as_str().as_bytes()),
            weight: dyno.weight,
            release: shares.iter().position(|(release, _)| **release == *dyno.release),
        });
        Wish {
            algorithm,
            bound: self.bound,
            dynos: dynos.collect(),
            releases: shares.iter().map(|(of, share)| (hash(of.as_bytes()), *share)).collect(),
            sticky: self.sticky,
        }
    }

    fn is_plain(&self) -> bool {
        self.algorithm == BalanceAlgorithm::P2c
            && self.releases.is_empty()
            && self.shadow == BalanceShadow::Off
            && !self.reported_load
    }

    fn key_of(&self) -> Option<KeyOf> {
        let decides = self.algorithm == BalanceAlgorithm::Hash
            || self.shadow == BalanceShadow::Hash
            || (self.sticky && !self.releases.is_empty());
        decides.then(|| KeyOf { key: self.key, name: self.key_name.clone() })
    }
}

impl Balancing {
    /// That of apps which have nothing of their own.
    pub fn common(of: &Balance) -> Balancing {
        Balancing {
            of: of.clone(),
            plan: Plan::default(),
            turns: Turns::default(),
            key: None,
            reported_load: false,
            shadow: None,
        }
    }

    /// Does one of those with the least in flight get the exchange, by the weights of the plan?
    pub fn is_of_least(&self) -> bool {
        // What dynos say of themselves leaves hardly any of them its whole weight.
        self.plan.is_of_least() && !self.reported_load
    }

    /// That of an app, whose settings follow on `old`'s.
    pub fn of(app: &App, common: &Arc<Balancing>, old: Option<&LiveApp>) -> Arc<Balancing> {
        let own = app.settings.own.as_deref().map(|own| &own.balance);
        let own = own.filter(|own| **own != OwnBalance::default());
        let of = own.map_or_else(|| common.of.clone(), |own| common.of.with(own));
        if of.is_plain() && app.dynos.iter().all(|dyno| dyno.weight == DEFAULT_WEIGHT) {
            return common.clone();
        }
        let turns = old.map(|old| &old.balancing.turns);
        let old = old.filter(|old| old.balancing.of == of);
        if let Some(old) = old.filter(|old| are_alike(&old.app, app)) {
            return old.balancing.clone();
        }
        let algorithm = acting(of.algorithm);
        let plan = Plan::new(&of.wish(algorithm, app));
        let turns = Turns::of(&plan, turns);
        let shadow = beside(of.shadow).map(|other| {
            let plan = Plan::new(&of.wish(other, app));
            let before = old.and_then(|old| old.balancing.shadow.as_ref());
            Shadow::new(plan, before)
        });
        let (key, reported_load) = (of.key_of(), of.reported_load);
        Arc::new(Balancing { of, plan, turns, key, reported_load, shadow })
    }
}

/// Are the dynos the same, as far as a plan goes?
fn are_alike(one: &App, other: &App) -> bool {
    one.dynos.len() == other.dynos.len()
        && one
            .dynos
            .iter()
            .zip(&other.dynos)
            .all(|(a, b)| a.name == b.name && a.weight == b.weight && a.release == b.release)
}

fn acting(algorithm: BalanceAlgorithm) -> Algorithm {
    match algorithm {
        BalanceAlgorithm::P2c => Algorithm::P2c,
        BalanceAlgorithm::LeastRequest => Algorithm::LeastRequest,
        BalanceAlgorithm::RoundRobin => Algorithm::RoundRobin,
        BalanceAlgorithm::Random => Algorithm::Random,
        BalanceAlgorithm::Hash => Algorithm::Hash,
        BalanceAlgorithm::OneAtATime => Algorithm::OneAtATime,
    }
}

fn beside(shadow: BalanceShadow) -> Option<Algorithm> {
    // The words are the algorithms', but for the one that is none.
    BalanceAlgorithm::parse(shadow.as_str()).map(acting)
}

#[cfg(test)]
mod tests;
