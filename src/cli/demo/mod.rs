//! `hostler demo`: the whole product on one machine, for a first look.
//!
//! [`run`] starts `hostler serve` and the dynos of two small apps, each a process of its own,
//! pushes their routes as any client would, prints what to try, and ends all of it on the first
//! signal.
//! [`dyno`] is what a dyno runs: `hostler demo-app`.
//!
//! Invariants: the demo speaks to the router through its listeners and its push API alone; no child
//! outlives the demo, however that ends: each child ends when its standard input does.

mod apps;
mod children;
mod dyno;
mod guide;
mod home;
mod pages;
mod router;
mod run;

pub(super) use dyno::DemoApp;
pub(super) use run::Demo;
