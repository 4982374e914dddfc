//! Which dynos are left out for a while because of how their exchanges ended, and for how long.
//!
//! * A failed connect is certain: nobody listens. It puts the dyno into [`Quarantine`], each next
//!   one for twice as long.
//! * So many faults in a row, or a success rate far below that of the app's others, is a judgement.
//!   It ejects the dyno ([`Ejection`]), each time for twice as long, as far as [`may_eject`] lets.
//! * Where too many are out, [`is_panic`]: then nobody is left out because of a judgement, since a
//!   few dynos with the load of all would be the next to fall.
//!
//! After Envoy's outlier detection and panic threshold, with what its documentation leaves open
//! decided here. Invariants: pure, the clock is an argument; a dyno that is out comes back by
//! time alone; nothing is swept, each rule is asked when an exchange of its dyno settles.

use std::time::Duration;

/// What the settings say of ejections. Shares are percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// So many faults in a row eject a dyno; 0: none do.
    pub faults: u32,
    /// For how long the first time.
    pub time: Duration,
    /// For how long at the most, and the longest quarantine.
    pub max_time: Duration,
    /// How many of the app's dynos may be ejected at a time.
    pub max_ejected: u32,
    /// A dyno is ejected whose success rate is so many hundredths of the standard deviation below
    /// the mean of the app's dynos; 0: none is.
    pub deviations: u32,
    /// The least requests of a dyno in a window that tell its rate.
    pub rate_requests: u32,
    /// The least dynos whose rates tell what is usual.
    pub rate_dynos: u32,
    /// The window.
    pub rate_window: Duration,
}

impl Rules {
    /// Those of a router that is told nothing.
    pub const STANDARD: Rules = Rules {
        faults: 5,
        time: Duration::from_secs(30),
        max_time: Duration::from_secs(300),
        max_ejected: 50,
        deviations: 190,
        rate_requests: 100,
        rate_dynos: 5,
        rate_window: Duration::from_secs(10),
    };
}

/// A time that was set, in milliseconds.
pub fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// `base` doubled with each time after the first, at most `most`.
pub fn back_off(base_ms: u64, times: u32, most_ms: u64) -> u64 {
    let doubled = base_ms.checked_shl(times.saturating_sub(1)).filter(|_| times <= 32);
    doubled.unwrap_or(u64::MAX).min(most_ms.max(base_ms))
}

/// A dyno's failed connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quarantine {
    /// How many in a row, those that failed together counted once.
    pub strikes: u32,
    /// When the last of them failed.
    pub struck_ms: u64,
    /// Until when the dyno is passed over.
    pub until_ms: u64,
}

impl Quarantine {
    /// A connect failed at `now_ms`. What was dialled before the last one failed tells no more
    /// than that one did, and does not make the quarantine longer.
    pub fn strike(&mut self, now_ms: u64, base_ms: u64, most_ms: u64) {
        if now_ms >= self.until_ms {
            self.strikes = self.strikes.saturating_add(1);
            self.struck_ms = now_ms;
            self.until_ms = now_ms + back_off(base_ms, self.strikes, most_ms);
        }
    }

    /// Is the dyno passed over? In panic the quarantine is as long as a first one: the dynos that
    /// come back must be found, and whoever waits is not to wait for the back-off.
    pub fn is_out(&self, now_ms: u64, base_ms: u64, in_panic: bool) -> bool {
        let until_ms = if in_panic { self.struck_ms + base_ms } else { self.until_ms };
        now_ms < until_ms.min(self.until_ms)
    }
}

/// A dyno's ejections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ejection {
    /// How often it was ejected; one less for each first ejection's time that it was in since.
    pub times: u32,
    /// Until when it is out, or was.
    pub until_ms: u64,
    /// It was refused by the share limit: until then it is not asked for again.
    pub spared_until_ms: u64,
}

/// How long a dyno that may not be ejected is not judged again, so that its faults cost no look at
/// all the others each.
const SPARED_MS: u64 = 1000;

impl Ejection {
    /// Is it out?
    pub fn is_out(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }

    /// Is it to be judged?
    pub fn is_judged(&self, now_ms: u64) -> bool {
        now_ms >= self.until_ms && now_ms >= self.spared_until_ms
    }

    /// The dyno is ejected; answers for how long.
    pub fn eject(&mut self, now_ms: u64, rules: &Rules) -> u64 {
        let time_ms = in_ms(rules.time);
        let forgiven = now_ms.saturating_sub(self.until_ms) / time_ms.max(1);
        self.times = u32::try_from(u64::from(self.times).saturating_sub(forgiven))
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let out_ms = back_off(time_ms, self.times, in_ms(rules.max_time));
        self.until_ms = now_ms + out_ms;
        out_ms
    }

    /// It would be, but for the share limit.
    pub fn spare(&mut self, now_ms: u64) {
        self.spared_until_ms = now_ms + SPARED_MS;
    }
}

/// May one more of `up` dynos be ejected, of which `ejected` are?
pub fn may_eject(ejected: usize, up: usize, percent: u32) -> bool {
    (ejected + 1) * 100 <= up * percent as usize
}

/// Are so few of `up` dynos in that nobody is left out any more?
pub fn is_panic(fit: usize, up: usize, percent: u32) -> bool {
    fit * 100 < up * percent as usize
}

/// What a dyno did in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Attempts that ended.
    pub requests: u32,
    /// Those that were faults.
    pub faults: u32,
}

impl Seen {
    /// The share that went well, if there were enough to tell.
    pub fn rate(&self, rules: &Rules) -> Option<f64> {
        let is_enough = self.requests > 0 && self.requests >= rules.rate_requests;
        let faults = self.faults.min(self.requests);
        is_enough.then(|| 1.0 - f64::from(faults) / f64::from(self.requests))
    }
}

/// A dyno is not ejected for a rate that is less than this below the mean: where all others never
/// fail, one fault in a thousand would be many deviations away.
const LEAST_GAP: f64 = 0.05;

/// The success rate below which a dyno is an outlier among these; none if there are too few to
/// tell. With n dynos none can be further than √(n−1) deviations below the mean, so that of fewer
/// than five none ever is by the usual 1.9.
pub fn rate_floor(rates: impl Iterator<Item = f64> + Clone, rules: &Rules) -> Option<f64> {
    let count = rates.clone().count();
    if rules.deviations == 0 || count == 0 || count < rules.rate_dynos as usize {
        return None;
    }
    let mean = rates.clone().sum::<f64>() / count as f64;
    let variance = rates.map(|rate| (rate - mean).powi(2)).sum::<f64>() / count as f64;
    let gap = f64::from(rules.deviations) / 100.0 * variance.sqrt();
    Some(mean - gap.max(LEAST_GAP))
}

#[cfg(test)]
mod tests;
