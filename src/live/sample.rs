//! An app for unit tests: some dynos that are up, all alike.
//!
//! Invariant: nothing has happened to it.

use std::sync::Arc;

use super::{LiveApp, Registry, Snapshot};
use crate::route::{AppName, AppSettings, Change, Dyno, DynoAddr, DynoName, DynoState, Table};

/// The app `blog` of so many dynos, `web.000` and on.
pub fn app(dynos: usize, registry: &Registry) -> Arc<LiveApp> {
    let name = AppName::parse("blog").unwrap();
    let mut table = Table::new(1);
    table.apply(&Change::PutApp(name.clone(), AppSettings::default())).unwrap();
    for number in 0..dynos {
        let dyno = Dyno {
            name: DynoName::parse(&format!("web.{number:03}")).unwrap(),
            addr: DynoAddr::parse("127.0.0.1:5000").unwrap(),
            release: "".into(),
            weight: 100,
            state: DynoState::Up,
            ttl_s: None,
        };
        table.apply(&Change::PutDyno(name.clone(), dyno)).unwrap();
    }
    Snapshot::new(table, registry).app("blog").unwrap().clone()
}
