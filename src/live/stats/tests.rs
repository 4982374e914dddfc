//! What is counted where, once, and for how long it is "lately".

use super::*;

const MS: u32 = 1000;

/// An app with room for so many figures, and two of its dynos.
fn app(figures: usize) -> (AppPlace, [DynoPlace; 2]) {
    (AppPlace::new(Arc::new(Room::new(figures))), Default::default())
}

fn took(queue_ms: u32, dyno_ms: u32) -> Ended {
    let times = Times { queue_us: queue_ms * MS, dyno_us: dyno_ms * MS, ..Times::default() };
    Ended { status: 200, fault: None, times: Some(times) }
}

fn seen(app: &AppPlace, now_ms: u64) -> Seen {
    app.get().unwrap().seen(now_ms)
}

#[track_caller]
fn assert_near(told: Option<u64>, ms: u32) {
    let (told, exact) = (told.unwrap(), u64::from(ms * MS));
    assert!(told.abs_diff(exact) * 16 <= exact, "{told} for {exact}");
}

#[test]
fn an_app_is_the_sum_of_its_dynos_and_of_what_came_to_none() {
    let (app, dynos) = app(9);
    for (dyno, status) in [(0, 200), (0, 503), (1, 204), (1, 101), (1, 999)] {
        app.count(Some(&dynos[dyno]), &Ended { status, ..took(0, 5) }, 1);
    }
    let fault = Some(Fault::NoDynos);
    app.count(None, &Ended { status: 503, fault, times: None }, 1);
    assert_eq!(seen(&app, 1).statuses, [1, 1, 2, 0, 0, 2]);
    assert_eq!(dynos[0].get().unwrap().seen(1).statuses, [0, 0, 1, 0, 0, 1]);
    assert_eq!(dynos[1].get().unwrap().seen(1).exchanges(), 3);
    assert_eq!(seen(&app, 1).faults(), BTreeMap::from([("H14", 1)]));
    assert_eq!(seen(&app, 1).ever[0].count(), 5, "what came to no dyno took no dyno's time");
}

#[test]
fn the_parts_of_the_time_are_told_apart() {
    let (app, [dyno, _]) = app(2);
    for _ in 0..99 {
        app.count(Some(&dyno), &took(0, 10), 1);
    }
    app.count(Some(&dyno), &took(300, 50), 1);
    let [total, queue, connect, dyno, _] = seen(&app, 1).lately;
    assert_near(total.quantile_us(0.99), 10);
    assert_near(total.quantile_us(1.0), 350);
    assert_eq!((queue.count(), queue.quantile_us(0.99)), (100, Some(0)));
    assert_near(queue.quantile_us(1.0), 300);
    assert_eq!((connect.count(), connect.quantile_us(1.0)), (100, Some(0)));
    assert_near(dyno.quantile_us(1.0), 50);
}

#[test]
fn lately_is_the_last_two_windows_and_nothing_is_lost_with_them() {
    let (app, [dyno, _]) = app(2);
    let at = |window: u64| window * WINDOW_MS + 7;
    for window in 0..5u64 {
        app.count(Some(&dyno), &took(0, 10 * (window as u32 + 1)), at(window));
        let seen = seen(&app, at(window));
        assert_eq!(seen.ever[0].count(), window + 1);
        assert_eq!(seen.lately[0].count(), (window + 1).min(2));
        assert_near(seen.lately[0].quantile_us(1.0), 10 * (window as u32 + 1));
    }
    // Nothing came since, and nobody began another window.
    for (later, lately) in [(5, 1), (6, 0), (100, 0)] {
        assert_eq!(seen(&app, at(later)).lately[0].count(), lately);
        assert_eq!(seen(&app, at(later)).ever[0].count(), 5);
    }
    // A worker whose clock is behind counts, and begins nothing.
    app.count(Some(&dyno), &took(0, 1), at(2));
    assert_eq!(seen(&app, at(4)).ever[0].count(), 6);
}

#[test]
fn an_attempt_that_failed_is_its_dynos_and_not_its_apps() {
    let (app, dynos) = app(9);
    app.count_failure(&dynos[0], Fault::ConnectRefused);
    app.count_retry(&dynos[0]);
    app.count_hedge(&dynos[0], false);
    app.count(Some(&dynos[1]), &took(0, 5), 1);
    let first = dynos[0].get().unwrap().seen(1);
    assert_eq!((first.faults(), first.retries), (BTreeMap::from([("H21", 1)]), 1));
    assert_eq!((first.exchanges(), first.hedges), (0, [1, 0]));
    let all = seen(&app, 1);
    assert_eq!((all.exchanges(), all.retries, all.faults().len()), (1, 1, 0));
}

#[test]
fn what_a_dyno_counted_stays_with_its_app_when_it_goes() {
    let (app, _) = app(2);
    for generation in 1..=5 {
        // With room for one dyno, each can only have what the one before gave back.
        let (dyno, now_ms) = (DynoPlace::new(), generation * LOOK_MS);
        app.count(Some(&dyno), &took(0, 5), now_ms);
        assert!(dyno.get().is_some(), "generation {generation}");
        app.count_failure(&dyno, Fault::RequestTimeout);
        app.count_hedge(&dyno, true);
        drop(dyno);
        let seen = seen(&app, now_ms);
        assert_eq!(seen.hedges, [0, generation]);
        assert_eq!((seen.exchanges(), seen.ever[3].count()), (generation, generation));
        assert_eq!(seen.faults().len(), 0);
    }
}

#[test]
fn who_finds_no_room_counts_with_its_app_and_an_app_without_counts_nothing() {
    let room = Arc::new(Room::new(2));
    let [app, other] = [(), ()].map(|()| AppPlace::new(room.clone()));
    let dynos: [DynoPlace; 2] = Default::default();
    for dyno in &dynos {
        app.count(Some(dyno), &took(0, 5), 1);
    }
    assert!(dynos[0].get().is_some() && dynos[1].get().is_none());
    assert_eq!(seen(&app, 1).exchanges(), 2);
    other.count(Some(&dynos[1]), &took(0, 5), 1);
    other.count_failure(&dynos[1], Fault::BadResponse);
    other.count_retry(&dynos[1]);
    assert!(other.get().is_none());
    drop((app, dynos));
    other.count(None, &took(0, 5), 1);
    assert_eq!(seen(&other, 1).exchanges(), 1, "room that was given back");
    let without = AppPlace::default();
    without.count(None, &took(0, 5), 1);
    assert!(without.get().is_none());
}

#[test]
fn who_has_no_room_takes_no_lock_for_it_but_a_dyno_once_a_second() {
    let (full, [_, dyno]) = app(0);
    let making = full.making.lock().unwrap();
    full.count(Some(&dyno), &took(0, 5), 1);
    full.count_failure(&dyno, Fault::BadResponse);
    drop(making);
    assert!(full.get().is_none());

    let (app, [first, second]) = app(2);
    app.count(Some(&first), &took(0, 5), 1);
    let held = app.get().unwrap().dynos.lock().unwrap();
    for now_ms in [1, LOOK_MS - 1] {
        app.count(Some(&second), &took(0, 5), now_ms);
        app.count_failure(&second, Fault::BadResponse);
    }
    drop(held);
    app.count(Some(&second), &took(0, 5), LOOK_MS);
    assert!(second.get().is_none(), "nobody went");
    drop(first);
    app.count(Some(&second), &took(0, 5), 2 * LOOK_MS);
    assert!(second.get().is_some());
    assert_eq!(seen(&app, 1).exchanges(), 5);
}

#[test]
fn what_many_count_at_once_is_counted_once() {
    let (app, [dyno, _]) = app(2);
    const EACH: u64 = 20_000;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            // Windows pass while they count.
            scope.spawn(|| {
                (0..EACH).for_each(|i| {
                    app.count(Some(&dyno), &took(1, 5), i * 10);
                })
            });
        }
    });
    let seen = seen(&app, EACH * 10);
    assert_eq!((seen.exchanges(), seen.ever[0].count(), seen.ever[3].count()), {
        (4 * EACH, 4 * EACH, 4 * EACH)
    });
}
