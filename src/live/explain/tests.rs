//! Explanations beside the engine's own answers, for tables and cells of every kind.

use proptest::prelude::*;

use super::*;
use crate::{
    balance::affinity::{KEY_BYTES, Named, SealKey},
    live::{Registry, choice::Caps},
    route::{
        AppSettings, Change, Dyno, DynoAddr, DynoState, OwnSettings, RouteKey, RouteSettings, Table,
    },
};

fn rules() -> Rules {
    Rules {
        is_forwarded: |method| method != b"TRACE",
        app_connections: 0,
        waiting: crate::live::waiting::sample::rules(),
        affinity: Affinity::default(),
        seal: Arc::new(Seal::new(&SealKey::new([1; KEY_BYTES]))),
        // A line with one cookie.
        cookies: |line, name| line.strip_prefix(name).map(|rest| &rest[1..]).into_iter().collect(),
        client_limits: ClientLimits::default(),
        clients: Arc::new(Clients::new(10, 10)),
    }
}

fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

fn route(host: &str, path: &str) -> RouteKey {
    RouteKey { host: HostPattern::parse(host).unwrap(), path: PathPrefix::parse(path).unwrap() }
}

fn dyno(number: usize, state: DynoState) -> Change {
    let dyno = Dyno {
        name: DynoName::parse(&format!("web.{number}")).unwrap(),
        addr: DynoAddr::parse("127.0.0.1:5000").unwrap(),
        release: "v1".into(),
        weight: 100,
        state,
        ttl_s: None,
    };
    Change::PutDyno(app("one"), dyno)
}

fn snapshot(changes: &[Change]) -> Snapshot {
    let mut table = Table::new(1);
    changes.iter().for_each(|change| assert!(table.apply(change).is_ok()));
    Snapshot::new(table, &Registry::default())
}

/// App one, with the host a.test and dynos in these states.
fn with_dynos(settings: AppSettings, states: &[DynoState]) -> Snapshot {
    let route = Change::PutRoute(route("a.test", "/"), app("one"), RouteSettings::default());
    let mut changes = vec![Change::PutApp(app("one"), settings), route];
    changes.extend(states.iter().enumerate().map(|(number, state)| dyno(number, *state)));
    snapshot(&changes)
}

fn ask(host: &str, path: &str) -> Request {
    let host = Host::parse(host.as_bytes()).unwrap();
    Request {
        host,
        path: path.into(),
        method: "GET".into(),
        client: None,
        headers: Vec::new(),
        unix_s: 1_000,
    }
}

fn outcome_of(snapshot: &Snapshot) -> Outcome {
    explain(snapshot, &ask("a.test", "/"), &rules(), 10).outcome
}

#[test]
fn what_an_app_has_of_its_own_goes_before_the_routers() {
    use DynoState::Starting;
    let own = OwnSettings { connect_total: Some(Duration::from_secs(2)), ..OwnSettings::default() };
    let settings = AppSettings { own: Some(Arc::new(own)), ..AppSettings::default() };
    let held = |seconds| Outcome::Hold(Duration::from_secs(seconds), Fault::BootTimeout);
    assert_eq!(outcome_of(&with_dynos(settings, &[Starting])), held(2));
    assert_eq!(outcome_of(&with_dynos(AppSettings::default(), &[Starting])), held(75));
}

#[test]
fn a_method_that_is_not_forwarded_is_refused_before_the_host_is_asked_for() {
    let request = Request { method: "TRACE".into(), ..ask("b.test", "/") };
    let told = explain(&snapshot(&[]), &request, &rules(), 10);
    assert_eq!(told.outcome, Outcome::Fault(Fault::MethodNotAllowed));
}

#[test]
fn a_quarantine_is_told_as_long_as_it_lasts() {
    let snapshot = with_dynos(AppSettings::default(), &[DynoState::Up, DynoState::Up]);
    let one = snapshot.app("one").unwrap();
    one.strike(0, 5, Fault::ConnectRefused);
    let at = |now_ms| explain(&snapshot, &ask("a.test", "/"), &rules(), now_ms);
    let told = at(4_005);
    assert_eq!(told.dynos[0].candidate.bar, Some(Bar::Quarantined));
    assert_eq!((told.dynos[0].quarantined_for_ms, told.dynos[0].chance), (1_000, Some(0.0)));
    let second = one.dynos[1].dyno.name.clone();
    assert_eq!(told.outcome, Outcome::Dyno(Some(second)));
    let told = at(5_005);
    assert_eq!((told.dynos[0].quarantined_for_ms, told.dynos[0].chance), (0, Some(0.5)));
    assert_eq!(told.outcome, Outcome::Dyno(None));
}

#[test]
fn room_is_asked_for_as_an_exchange_asks() {
    let snapshot = with_dynos(AppSettings::default(), &[DynoState::Up]);
    let one = snapshot.app("one").unwrap();
    let mut rules = Rules { app_connections: 1, ..rules() };
    rules.waiting.caps.dyno = 1;
    let told = |rules: &Rules| explain(&snapshot, &ask("a.test", "/"), rules, 10);
    assert!(matches!(told(&rules).outcome, Outcome::Dyno(_)));
    assert!(one.cell.take(&one.dynos[0].cell, true, 1, 0));
    assert_eq!(told(&rules).dynos[0].candidate.bar, Some(Bar::Full));
    let held = Outcome::Hold(Duration::from_secs(30), Fault::BacklogTimeout);
    assert_eq!(told(&rules).outcome, held);
    rules.waiting.caps = Caps { app: 1, ..Caps::default() };
    assert_eq!(told(&rules).outcome, held);
    rules.waiting.max = 0;
    assert_eq!(told(&rules).outcome, Outcome::Fault(Fault::BacklogTooDeep));
    rules.waiting.paused = true;
    assert_eq!(told(&rules).outcome, Outcome::Fault(Fault::Paused));
    assert!(one.cell.connect(1));
    assert_eq!(told(&rules).outcome, Outcome::Fault(Fault::ConnectionLimit));
}

#[test]
fn a_cookie_that_counts_decides_and_its_dyno_is_told() {
    let affinity = OwnAffinity { enabled: Some(true), ..OwnAffinity::default() };
    let own = Some(OwnSettings { affinity, ..OwnSettings::default() }.into());
    let settings = AppSettings { own, ..AppSettings::default() };
    let snapshot = with_dynos(settings, &[DynoState::Up, DynoState::Draining]);
    let told = |dyno: &str| {
        let (rules, mut request) = (rules(), ask("a.test", "/"));
        let named = Named { tag: rules.seal.tag("one", dyno), issued_s: 1_000 };
        let value = String::from_utf8(rules.seal.write("one", named).to_vec()).unwrap();
        request.headers.push(("cookie".into(), format!("hostler-affinity={value}")));
        explain(&snapshot, &request, &rules, 10)
    };
    let comeback = |dyno| told(dyno).returning.unwrap().comeback;
    assert_eq!(comeback("web.0"), Some(Comeback::To(0)));
    assert_eq!(comeback("web.1"), Some(Comeback::Unfit(1, Bar::Draining)));
    assert_eq!(comeback("web.2"), Some(Comeback::Gone));
    assert_eq!(told("web.0").outcome, Outcome::Dyno(Some(DynoName::parse("web.0").unwrap())));
    assert_eq!(told("web.0").dynos[0].chance, Some(1.0));
    let without = explain(&snapshot, &ask("a.test", "/"), &rules(), 10);
    assert_eq!(without.returning.unwrap().comeback, None);
}

/// Hosts, paths and owners that meet each other often.
fn some_routes() -> impl Strategy<Value = Vec<(&'static str, &'static str, &'static str)>> {
    let hosts = ["a.test", "x.a.test", "*.a.test", "*.test", "*.x.a.test", "b.test"];
    let paths = ["/", "/x", "/x/y", "/x/%2Fy", "/xy"];
    let one = prop::sample::select(hosts.to_vec());
    let apps = prop::sample::select(vec!["one", "two", "three"]);
    prop::collection::vec((one, prop::sample::select(paths.to_vec()), apps), 0..25)
}

proptest! {
    #[test]
    fn the_rule_that_took_it_is_the_apps_that_the_table_finds(
        routes in some_routes(),
        host in "(x\\.|y\\.|z\\.){0,3}(a|b)\\.(test|none)",
        path in "/(x|y|xy|%2fy|%78|\\.\\.|\\.)?(/(x|y|%2Fy|\\.\\.))?/?",
    ) {
        let mut table = Table::new(1);
        for (host, path, owner) in routes {
            table.apply(&Change::PutApp(app(owner), AppSettings::default())).unwrap();
            let put = Change::PutRoute(route(host, path), app(owner), RouteSettings::default());
            // Some other app may own it already.
            let _ = table.apply(&put);
        }
        let request = ask(&host, &path);
        let found = table.find(&request.host, path.as_bytes());
        let found = found.and_then(|slot| table.apps().get(slot)).map(|app| app.name.clone());
        let told = explain(&Snapshot::new(table, &Registry::default()), &request, &rules(), 10);
        let took = told.rules.iter().find(|rule| rule.took);
        let took = took.map(|rule| rule.route.as_ref().unwrap().1.clone());
        prop_assert_eq!(&took, &found);
        prop_assert_eq!(told.app.map(|live| live.app.name.clone()), found.clone());
        let fault = if found.is_some() { Fault::NoDynos } else { Fault::UnknownHost };
        prop_assert_eq!(told.outcome, Outcome::Fault(fault));
    }
}
