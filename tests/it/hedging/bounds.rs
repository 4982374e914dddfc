//! Which requests only ever go to one dyno, and how many go to a second one.

use serde_json::json;

use super::{AFTER, DONE, GET, OK, Rig, take};
use crate::harness::{Conn, Dyno, until};

#[test]
fn what_may_not_be_sent_twice_goes_to_one_dyno() {
    let rig = Rig::with(json!({}));
    for request in [
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
        "PATCH / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    ] {
        rig.is_not_hedged(request);
    }
    // A body that goes on when its dyno is there already.
    let mut client = rig.router.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\n");
    let mut slow = rig.slow.accept();
    slow.take_head();
    client.send("body");
    assert_eq!(slow.take(4), b"body");
    rig.outwait();
    assert!(rig.quick.is_idle());
    rig.only_the_witness_is_counted();
}

#[test]
fn nothing_is_hedged_where_that_is_off_or_there_is_nothing_to_do_it_with() {
    for settings in [
        json!({"dynos.hedge_after": "0s"}),
        json!({"dynos.retry_budget": 0}),
        // The app has as many in flight as it may.
        json!({"limits.in_flight": 1}),
    ] {
        let rig = Rig::with(settings);
        rig.is_not_hedged(GET);
        rig.only_the_witness_is_counted();
    }
    let rig = Rig::with(json!({}));
    for state in ["draining", "starting"] {
        rig.router.set_state("one", rig.other_name(), state);
        rig.is_not_hedged(GET);
    }
    rig.router.delete(&format!("/v1/apps/one/dynos/{}", rig.other_name()));
    rig.is_not_hedged(GET);
    let unset = Rig::start(&[]);
    unset.router.write(
        "PATCH",
        "/v1/apps/witness",
        json!({"settings": {"dynos.hedge_after": AFTER}}),
    );
    unset.is_not_hedged(GET);
}

#[test]
fn an_answer_that_has_begun_is_waited_for() {
    let rig = Rig::with(json!({}));
    let (mut client, mut slow) = rig.ask(GET);
    slow.send("HTTP/1.1 103 Early Hints\r\n\r\n");
    assert_eq!(client.take_head().status(), 103);
    rig.outwait();
    assert!(rig.quick.is_idle());
    slow.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_client_that_belongs_to_a_dyno_is_served_by_that_one() {
    let rig = Rig::with(json!({"affinity.enabled": true}));
    let (mut client, mut slow, _quick) = rig.hedged();
    slow.send(OK);
    let answer = client.take_answer();
    let cookie = answer.head.get("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: {cookie}\r\n\r\n");
    client.send(&request);
    slow.take_request();
    rig.outwait();
    assert!(rig.quick.is_idle());
    slow.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_hedge_keeps_to_the_bounds_and_its_places_go_to_who_waits() {
    let rig = Rig::with(json!({"dynos.max_in_flight": 1}));
    let (mut client, mut slow, mut quick) = rig.hedged();
    let mut other = rig.router.connect();
    other.send(GET);
    until("it waits", || rig.stats()["waiting"] == 1);
    quick.send(DONE);
    assert_eq!(client.take_answer().status(), 204);
    slow.take_end();
    let (mut slow, mut quick) = (take(&rig.slow), take(&rig.quick));
    slow.send(DONE);
    assert_eq!(other.take_answer().status(), 204);
    quick.take_end();
    rig.is_settled();
    // One that has its place, and one whose second dyno is full for that.
    rig.set(json!({"dynos.hedge_after": "0s"}));
    let (mut client, mut slow) = rig.ask(GET);
    rig.set(json!({"dynos.hedge_after": null}));
    other = rig.router.connect();
    other.send(GET);
    let mut quick = take(&rig.quick);
    rig.outwait();
    assert!(rig.slow.is_idle(), "it was hedged");
    for (dyno, client) in [(&mut slow, &mut client), (&mut quick, &mut other)] {
        dyno.send(DONE);
        assert_eq!(client.take_answer().status(), 204);
    }
    rig.is_settled();
}

#[test]
fn hedges_are_bounded_by_the_budget_of_the_retries() {
    // 10 a second over 10 s, and one for each hundred requests.
    const EARNED: usize = 100;
    let rig = Rig::with(json!({"dynos.retry_budget": 1}));
    let ask = || (0..EARNED).map(|_| rig.ask(GET)).collect::<Vec<_>>();
    let within = ask();
    let _hedges: Vec<Conn> = within.iter().map(|_| take(&rig.quick)).collect();
    let beyond = ask();
    rig.outwait();
    let sent = rig.router.metric("hostler_app_hedges_total{app=\"one\"}");
    assert!(sent < 2.0 * EARNED as f64, "{sent}");
    // Those that the budget refused have their places no more.
    let in_flight = 2 * EARNED + sent as usize;
    until("they are free", || rig.stats()["in_flight"] == in_flight);
    drop((within, beyond));
    rig.is_settled();
}

#[test]
fn a_hedge_takes_no_turn_of_round_robin() {
    let rig = Rig::with(json!({"balance.algorithm": "round_robin"}));
    for _ in 0..2 {
        let mut client = rig.router.connect();
        client.send(GET);
        let (mut one, _other) = (take(&rig.slow), take(&rig.quick));
        one.send(DONE);
        assert_eq!(client.take_answer().status(), 204);
        rig.is_settled();
    }
    // Each counts those of which it had been the first.
    let told = rig.stats();
    for dyno in told["dynos"].as_array().unwrap() {
        assert_eq!(dyno["figures"]["hedges"], 1, "{told:#}");
    }
}

#[test]
fn what_was_sent_again_is_not_hedged() {
    let rig = Rig::with(json!({}));
    rig.router.set_state("one", rig.other_name(), "draining");
    let (mut client, slow) = rig.ask(GET);
    rig.outwait();
    // There are two that it could go to.
    rig.router.set_state("one", rig.other_name(), "up");
    let third = Dyno::new();
    rig.router.write("PUT", "/v1/apps/one/dynos/web.3", json!({"addr": third.addr}));
    slow.reset();
    until("it is sent again", || rig.quick.has_caller() || third.has_caller());
    let again = take(if third.has_caller() { &third } else { &rig.quick });
    rig.outwait();
    assert!(rig.slow.is_idle() && rig.quick.is_idle() && third.is_idle(), "a third time");
    drop(again);
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
    rig.is_settled();
    rig.only_the_witness_is_counted();
}
