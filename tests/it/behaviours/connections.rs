//! What `Connection` says on either side, and how both connections go on: where dynos' connections
//! are kept, and where they are not.

use super::*;
use crate::harness::kernel::end_and_arrive;

/// One exchange with these `Connection` lines; answers what the dyno got, what the client got, and
/// the dyno's connection.
fn exchange(x: &mut Case, client: &str, dyno: &str) -> (Head, Answer, Conn) {
    let (request, mut conn) = x.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{client}\r\n"));
    conn.send(format!("HTTP/1.1 200 OK\r\n{dyno}Content-Length: 2\r\n\r\nok"));
    let answer = x.client.take_answer();
    assert_eq!(answer.text(), "ok");
    (request.head, answer, conn)
}

const CLOSE: &str = "Connection: close\r\n";
const STAY: &str = "Connection: keep-alive\r\n";

/// Both stay.
fn both_stay(x: &mut Case, client: &str, dyno: &str) {
    let (request, answer, conn) = exchange(x, client, dyno);
    assert_eq!((request.get("connection"), answer.head.get("connection")), (None, None));
    x.both_go_on(conn);
}

/// The dyno's closes and the client's stays.
fn client_stays(x: &mut Case, client: &str, dyno: &str) {
    let (request, answer, mut conn) = exchange(x, client, dyno);
    assert_eq!((request.get("connection"), answer.head.get("connection")), (None, None));
    conn.take_end();
    let conn = x.client_goes_on();
    x.both_go_on(conn);
}

/// The client's closes and the dyno's stays.
fn dyno_stays(x: &mut Case, client: &str, dyno: &str) {
    let (request, answer, conn) = exchange(x, client, dyno);
    assert_eq!((request.get("connection"), answer.head.get("connection")), (None, Some("close")));
    x.client_ends();
    x.dyno_goes_on(conn);
}

/// Both close.
fn none_stays(x: &mut Case, client: &str, dyno: &str) {
    let (_, answer, mut conn) = exchange(x, client, dyno);
    assert_eq!(answer.head.get("connection"), Some("close"));
    x.client_ends();
    conn.take_end();
}

behaviours! {
    fn nobody_says_a_word(x) { both_stay(x, "", ""); }
    fn both_say_keep_alive(x) { both_stay(x, STAY, STAY); }
    fn the_client_says_close(x) { dyno_stays(x, CLOSE, ""); }
    fn the_client_says_close_and_the_dyno_keep_alive(x) { dyno_stays(x, CLOSE, STAY); }
    fn the_dyno_says_close(x) { client_stays(x, "", CLOSE); }
    fn the_dyno_says_close_and_the_client_keep_alive(x) { client_stays(x, STAY, CLOSE); }
    fn both_say_close(x) { none_stays(x, CLOSE, CLOSE); }
    fn close_counts_wherever_it_stands(x) {
        dyno_stays(x, "Connection: keep-alive, CLOSE\r\n", "");
        x.again();
        client_stays(x, "", "Connection: x-y\r\nConnection: Close\r\n");
    }

    fn a_connection_that_is_there_took_no_time(x) {
        let (_, _, conn) = exchange(x, "", "");
        x.both_go_on(conn);
        let line = x.router.log.wait_for(" path=\"/on\" ");
        assert!(line.contains(" dyno=web.1 connect=0ms service="), "{line}");
    }

    fn a_dyno_that_closes_unsaid_gets_a_new_connection(x) {
        let (_, answer, conn) = exchange(x, "", "");
        assert_eq!(answer.head.get("connection"), None);
        end_and_arrive(conn, drop);
        // Not even a request that may not be repeated notices.
        let (request, _dyno) =
            x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(request.text(), "hi");
    }
}

/// Where dynos' connections are not kept: the dyno is told so and closed, whatever it says; the
/// client's goes on as the client wishes.
mod not_kept {
    use super::*;

    fn off() -> Setup {
        Setup::router("dynos.keep_alive", "false")
    }

    fn goes(x: &mut Case, client: &str, dyno: &str, client_stays: bool) {
        let (request, answer, mut conn) = exchange(x, client, dyno);
        assert_eq!(request.get("connection"), Some("close"));
        conn.take_end();
        if client_stays {
            assert_eq!(answer.head.get("connection"), None);
            let (_, answer, _) = exchange(x, "", "");
            assert_eq!(answer.head.get("connection"), None);
        } else {
            assert_eq!(answer.head.get("connection"), Some("close"));
            x.client_ends();
        }
    }

    behaviours! {
        fn nobody_says_a_word(x: off()) { goes(x, "", "", true); }
        fn both_say_keep_alive(x: off()) { goes(x, STAY, STAY, true); }
        fn the_client_says_close(x: off()) { goes(x, CLOSE, "", false); }
        fn the_dyno_says_close(x: off()) { goes(x, "", CLOSE, true); }
        fn the_client_says_close_and_the_dyno_keep_alive(x: off()) { goes(x, CLOSE, STAY, false); }
        fn both_say_close(x: off()) { goes(x, CLOSE, CLOSE, false); }

        fn an_app_may_have_it_so(x: Setup::app(json!({"dynos.keep_alive": false}))) {
            goes(x, "", "", true);
        }

        fn an_app_may_have_it_otherwise(
            x: Setup { app: Some(json!({"settings": {"dynos.keep_alive": true}})), ..off() }
        ) {
            both_stay(x, "", "");
        }

        fn an_upgrade_is_asked_for_all_the_same(x: off()) {
            let (request, mut dyno) = x.ask(
                "GET / HTTP/1.1\r\nHost: a.test\r\n\
                Connection: upgrade\r\nUpgrade: echo\r\n\r\n",
            );
            assert!(request.head.get("connection").unwrap().to_lowercase().contains("upgrade"));
            dyno.send("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi");
            assert_eq!(x.client.take_head().status(), 101);
            assert_eq!(x.client.take(2), b"hi");
        }
    }
}
