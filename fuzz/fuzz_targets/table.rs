//! The table against a linear scan of two lists: the same answers after the same changes.
//!
//! The model is the one that the table's tests use. Invariants that are tried: a change does to
//! both the same, or is refused by both alike; a look-up finds the same app; what was cloned before
//! a change still answers as it did.
#![no_main]

use std::{sync::Arc, time::Duration};

use hostler::route::{
    self, AppName, AppSettings, Change, Dyno, DynoAddr, DynoName, DynoState, Host, HostPattern,
    OwnCapacity, OwnSettings, Page, Pages, PathPrefix, RouteKey, RouteSettings, Table,
};
use libfuzzer_sys::arbitrary::{Result, Unstructured};

#[path = "../../src/route/table/model.rs"]
mod model;

/// The most changes of one run: each costs the model a scan.
const MAX_CHANGES: usize = 200;
const APPS: [&str; 5] = ["a", "b", "c", "d", "e"];
const HOSTS: [&str; 7] = [
    "a.test",
    "b.a.test",
    "c.b.a.test",
    "test",
    "x.test",
    "10.0.0.1",
    "a-name-beyond.thirty.bytes.test",
];
const PATHS: [&str; 8] = ["/", "/a", "/a/b", "/a-b", "/a/b/c", "/b", "/a//b", "/%2F"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Bytes that run out end the run, and what was done until then was checked.
    let _ended = run(&mut Unstructured::new(data));
});

fn run(input: &mut Unstructured<'_>) -> Result<()> {
    let mut table = Table::new(input.arbitrary()?);
    let mut model = model::Model::default();
    let mut requests = Vec::new();
    for _ in 0..MAX_CHANGES {
        match input.int_in_range(0..=19)? {
            0 => {
                let (kept, before) = (table.clone(), model.clone());
                let change = change(input)?;
                assert_eq!(table.apply(&change), model.apply(&change), "{change:?}");
                before.check(&kept, &requests);
                model.check(&table, &requests);
            }
            1..=4 => requests.push((host(input)?, request_path(input)?)),
            _ => {
                let change = change(input)?;
                assert_eq!(table.apply(&change), model.apply(&change), "{change:?}");
            }
        }
        if input.is_empty() {
            break;
        }
    }
    model.check(&table, &requests);
    Ok(())
}

fn change(input: &mut Unstructured<'_>) -> Result<Change> {
    let name = AppName::parse(input.choose(&APPS)?).expect("the names are well formed");
    Ok(match input.int_in_range(0..=11)? {
        0..=1 => Change::PutApp(name, settings(input)?),
        2 => Change::DeleteApp(name),
        3..=7 => {
            let settings = RouteSettings { protected: input.arbitrary()? };
            Change::PutRoute(key(input)?, name, settings)
        }
        8..=9 => Change::DeleteRoute(key(input)?, name),
        10 => Change::PutDyno(name, dyno(input)?),
        _ => Change::DeleteDyno(name, format!("web.{}", input.int_in_range(1..=3)?)),
    })
}

/// Few values of each, so that a change often is none.
fn settings(input: &mut Unstructured<'_>) -> Result<AppSettings> {
    let flags: u8 = input.arbitrary()?;
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let own = OwnSettings {
        half_close: flag(4).then_some(true),
        capacity: OwnCapacity { max_in_flight: flag(5).then_some(200), ..OwnCapacity::default() },
        first_byte: flag(6).then_some(Duration::from_secs(60)),
        ..OwnSettings::default()
    };
    let text = flag(7).then(|| "away".into());
    let pages = Pages { error: Page { text, ..Page::default() }, ..Pages::default() };
    Ok(AppSettings {
        maintenance: flag(0),
        blank: flag(1),
        is_router: flag(2),
        protected: flag(4),
        own: flag(3).then(|| Arc::new(own)),
        pages: flag(7).then(|| Arc::new(pages)),
    })
}

fn key(input: &mut Unstructured<'_>) -> Result<RouteKey> {
    let exact = HostPattern::Exact(host(input)?);
    let host = match input.arbitrary()? {
        true => HostPattern::parse(&format!("*.{exact}")).unwrap_or(exact),
        false => exact,
    };
    let known = || PathPrefix::ROOT;
    let path = std::str::from_utf8(&request_path(input)?).ok().map(PathPrefix::parse);
    Ok(RouteKey { host, path: path.and_then(Result::ok).unwrap_or_else(known) })
}

/// Mostly one of few, so that routes meet; else whatever the bytes make.
fn host(input: &mut Unstructured<'_>) -> Result<Host> {
    let known = Host::parse(input.choose(&HOSTS)?.as_bytes()).expect("the hosts are well formed");
    if input.ratio(7, 8)? {
        return Ok(known);
    }
    let len = input.int_in_range(0..=40)?;
    let text = input.bytes(len.min(input.len()))?;
    Ok(Host::parse(text).unwrap_or(known))
}

fn request_path(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let known = input.choose(&PATHS)?.as_bytes().to_vec();
    if input.ratio(5, 8)? {
        return Ok(known);
    }
    let len = input.int_in_range(0..=12)?;
    let more = input.bytes(len.min(input.len()))?;
    Ok([known, more.to_vec()].concat())
}

fn dyno(input: &mut Unstructured<'_>) -> Result<Dyno> {
    let name = format!("web.{}", input.int_in_range(1..=3)?);
    let addr = format!("127.0.0.1:{}", input.int_in_range(1..=2)?);
    Ok(Dyno {
        name: DynoName::parse(&name).expect("the name is well formed"),
        addr: DynoAddr::parse(&addr).expect("the address is well formed"),
        release: "".into(),
        weight: 100,
        ttl_s: if input.arbitrary()? { Some(60) } else { None },
        state: if input.arbitrary()? { DynoState::Up } else { DynoState::Draining },
    })
}
