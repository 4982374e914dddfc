//! Places are taken, moved, handed on and given up in any order: each is given back once, and each
//! attempt is told once.
//!
//! Invariant: what is held is counted here beside the cells.

use std::task::{Context, Poll, Waker};

use proptest::{collection, prelude::*};

use super::*;
use crate::live::{
    Registry,
    queue::{Looked, Rules, Ticket},
    sample,
};

const DYNOS: usize = 3;
/// As many answers as a latency tells apart.
const TOLD: u8 = 15;

/// What is done next; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Take {
        at: usize,
        first: bool,
        most: u32,
        most_of_app: u32,
    },
    Settle(usize),
    Vacate(usize),
    Drop(usize),
    Give(usize),
    Move(usize, usize),
    /// One comes to wait.
    Wait,
    /// Whoever waits looks what it was handed.
    Look(usize),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0usize..8;
    prop_oneof![
        4 => (0..DYNOS, any::<bool>(), 0u32..4, 0u32..6).prop_map(|(at, first, most, most_of_app)| {
            Step::Take { at, first, most, most_of_app }
        }),
        2 => n.clone().prop_map(Step::Settle),
        1 => n.clone().prop_map(Step::Vacate),
        2 => n.clone().prop_map(Step::Drop),
        1 => n.clone().prop_map(Step::Give),
        1 => (n.clone(), 0..DYNOS).prop_map(|(lease, to)| Step::Move(lease, to)),
        1 => Just(Step::Wait),
        1 => n.clone().prop_map(Step::Look),
        1 => n.prop_map(Step::Leave),
    ]
}

/// An app, and what is held of it.
struct Held {
    app: Arc<LiveApp>,
    leases: Vec<Lease>,
    /// Who waits, in the order in which it came.
    tickets: Vec<Ticket>,
    begun: u32,
    told: [u8; DYNOS],
}

impl Held {
    fn do_step(&mut self, step: Step) {
        let (app, count) = (self.app.clone(), self.leases.len());
        let lease = |n: usize| n.checked_rem(count);
        match step {
            Step::Take { at, first, most, most_of_app } => {
                let taken = Lease::take(&app, at, first, (most, most_of_app));
                self.begun += u32::from(first && taken.is_some());
                self.leases.extend(taken);
            }
            Step::Settle(n) => {
                let Some(lease) = lease(n).map(|n| &mut self.leases[n]) else { return };
                let outcome = Outcome { status: 200, latency_us: 1_000, ..Outcome::default() };
                self.told[lease.at] += u8::from(!lease.settled && self.told[lease.at] < TOLD);
                lease.settle(&outcome);
            }
            Step::Vacate(n) => _ = lease(n).map(|n| self.leases[n].vacate()),
            Step::Drop(n) => drop(lease(n).map(|n| self.leases.swap_remove(n))),
            Step::Give(n) => {
                let Some(n) = lease(n).filter(|n| self.leases[*n].counted) else { return };
                let (_, cell) = self.leases.swap_remove(n).give();
                app.cell.release(&cell);
            }
            Step::Move(n, to) => {
                let is_held = |n: &usize| self.leases[*n].counted && !self.leases[*n].settled;
                _ = lease(n).filter(is_held).map(|n| self.leases[n].move_to(|_| Some(to)));
            }
            Step::Wait => {
                let rules = Rules { max: 4, lifo_after_ms: u64::MAX };
                self.tickets.extend(Ticket::join(&app.cell, &[], rules, 1));
            }
            Step::Look(n) => self.look(n),
            Step::Leave(n) => {
                let ticket = n.checked_rem(self.tickets.len());
                drop(ticket.map(|n| self.tickets.remove(n)));
            }
        }
    }

    fn look(&mut self, n: usize) {
        let Some(n) = n.checked_rem(self.tickets.len()) else { return };
        let cx = Context::from_waker(Waker::noop());
        let mut place = None;
        let fits = |cell: &Arc<Cell>| {
            place = self.app.dynos.iter().position(|live| Arc::ptr_eq(&live.cell, cell));
            true
        };
        let stays = || Looked::Stays { others_may_go: false };
        if let Poll::Ready(handed) = self.tickets[n].poll_go(&cx, fits, stays) {
            let (handed, at) = (handed.expect("it looked for none"), place.expect("it is there"));
            self.leases.push(Lease::keep(handed, self.app.clone(), at));
            self.tickets.remove(n);
        }
    }

    fn counted(&self) -> [u32; DYNOS] {
        let of = |at| self.leases.iter().filter(|lease| lease.counted && lease.at == at).count();
        std::array::from_fn(|at| of(at) as u32)
    }

    fn cells(&self) -> [u32; DYNOS] {
        std::array::from_fn(|at| self.app.dynos[at].cell.in_flight())
    }
}

proptest! {
    #[test]
    fn every_place_is_given_back_once_and_every_attempt_told_once(
        steps in collection::vec(step(), 0..200),
    ) {
        let (leases, tickets) = (Vec::new(), Vec::new());
        let app = sample::app(DYNOS, &Registry::default());
        let mut held = Held { app, leases, tickets, begun: 0, told: [0; DYNOS] };
        for step in steps {
            held.do_step(step);
            let (counted, cells) = (held.counted(), held.cells());
            // Who waits may hold a place that was handed to it.
            let handed: u32 = cells.iter().sum::<u32>() - counted.iter().sum::<u32>();
            prop_assert!(handed as usize <= held.tickets.len());
            prop_assert!(counted.iter().zip(cells).all(|(held, cell)| *held <= cell));
            prop_assert_eq!(held.app.cell.in_flight(), cells.iter().sum::<u32>());
        }
        let told = held.app.dynos.iter().map(|live| live.cell.latency.get().count);
        prop_assert_eq!(told.collect::<Vec<_>>(), held.told);
        prop_assert_eq!(held.app.cell.begun(), held.begun);
        held.leases.clear();
        held.tickets.clear();
        prop_assert_eq!((held.cells(), held.app.cell.in_flight()), ([0; DYNOS], 0));
        prop_assert_eq!(held.app.cell.queue.waiting(), 0);
    }
}
