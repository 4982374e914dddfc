//! What a dyno's answers to checks say of it: pure.
//!
//! A dyno that is new is well with its first good answer, as in Envoy; one that was well is failing
//! after so many bad ones in a row, one that was failing is well after so many good ones. One that
//! was up when the router started counts as well until then.
//! Invariant: one bad answer among good ones, or a good one among bad ones, says nothing.

use super::settings::Checks;
use crate::live::health::Proof;

/// The last answers of a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judge {
    good: u32,
    bad: u32,
}

impl Judge {
    /// Takes an answer of a dyno that stands at `proof`; says where it stands then. One that `must`
    /// prove itself first has nothing to fail before: panic lets failing dynos in, unproven never.
    pub fn take(&mut self, is_good: bool, proof: Proof, must: bool, checks: &Checks) -> Proof {
        if is_good {
            (self.good, self.bad) = (self.good.saturating_add(1), 0);
        } else {
            (self.good, self.bad) = (0, self.bad.saturating_add(1));
        }
        match proof {
            Proof::Failing if self.good >= checks.well_after => Proof::Well,
            Proof::Failing => Proof::Failing,
            Proof::New if must && !is_good => Proof::New,
            _ if self.bad >= checks.failing_after => Proof::Failing,
            _ if self.good > 0 => Proof::Well,
            before => before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: &str, first: Proof) -> Vec<Proof> {
        let checks = Checks { failing_after: 3, well_after: 2, ..Checks::default() };
        let (mut judge, mut proof) = (Judge::default(), first);
        let take = |answer: char| {
            proof = judge.take(answer == '+', proof, false, &checks);
            proof
        };
        answers.chars().map(take).collect()
    }

    #[test]
    fn a_new_dyno_is_well_with_its_first_good_answer() {
        assert_eq!(after("--+", Proof::New), [Proof::New, Proof::New, Proof::Well]);
        assert_eq!(after("---", Proof::New)[2], Proof::Failing);
        let (mut judge, checks) = (Judge::default(), Checks::default());
        let mut take = |is_good| judge.take(is_good, Proof::New, true, &checks);
        assert!((0..100).all(|_| take(false) == Proof::New), "it has to prove itself first");
        assert_eq!(take(true), Proof::Well);
    }

    #[test]
    fn after_a_restart_a_dyno_is_as_good_as_well_until_it_fails() {
        let unasked = Proof::Unasked;
        assert_eq!(after("--+", unasked), [unasked, unasked, Proof::Well]);
        assert_eq!(after("---", unasked), [unasked, unasked, Proof::Failing]);
    }

    #[test]
    fn it_takes_so_many_in_a_row_to_change_either_way() {
        let all = after("+--+---+-++-", Proof::New);
        let failing: Vec<_> = all.iter().map(|proof| *proof == Proof::Failing).collect();
        let expected: Vec<_> = "......xxxx..".chars().map(|c| c == 'x').collect();
        assert_eq!(failing, expected, "{all:?}");
    }

    #[test]
    fn a_dyno_that_answers_by_turns_stays_what_it_was() {
        assert!(after(&"+-".repeat(50), Proof::Well).iter().all(|proof| *proof == Proof::Well));
        assert!(after(&"+-".repeat(50), Proof::Failing).iter().all(|p| *p == Proof::Failing));
    }
}
