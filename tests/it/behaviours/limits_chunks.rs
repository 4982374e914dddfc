//! The fixed limits of the chunked coding, at their edge and one past it, in both directions.

use super::*;

const UP: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const DOWN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The chunks pass in both directions.
fn pass(x: &mut Case, chunks: &str) {
    let (request, mut dyno) = x.ask(format!("{UP}{chunks}"));
    assert_eq!(request.text(), "hello");
    dyno.send(format!("{DOWN}{chunks}"));
    assert_eq!(x.client.take_answer().text(), "hello");
    x.both_go_on(dyno);
}

/// The chunks pass in neither.
fn fail(x: &mut Case, chunks: &str) {
    x.send(UP);
    let mut dyno = x.dyno();
    dyno.take_head();
    // The router may have had enough.
    let _ = x.client.try_send(chunks.as_bytes());
    x.is_refused(400, "H26");
    let (rest, _) = dyno.take_all();
    assert!(!rest.ends_with(b"0\r\n\r\n"));
    x.again();
    let mut dyno = x.play(GET, DOWN);
    x.client.take_head();
    let _ = dyno.try_send(chunks.as_bytes());
    let (rest, _) = x.client.take_all();
    assert!(!rest.ends_with(b"\r\n\r\n"));
    dyno.take_all();
    x.again();
}

behaviours! {
    fn a_size_has_at_most_sixteen_digits(x) {
        pass(x, "0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n");
        fail(x, "00000000000000005\r\nhello\r\n0\r\n\r\n");
    }

    fn a_size_is_below_2_to_the_63(x) {
        x.send(format!("{UP}7fffffffffffffff\r\n"));
        let mut dyno = x.dyno();
        dyno.take_until("7fffffffffffffff\r\n");
        x.again();
        fail(x, "8000000000000000\r\n");
    }

    fn the_extensions_of_a_body_have_at_most_16_kib(x) {
        let most = 16 << 10;
        pass(x, &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(most)));
        fail(x, &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(most + 1)));
        let half = "x".repeat(most / 2);
        pass(x, &format!("2;{half}\r\nhe\r\n3;{half}\r\nllo\r\n0\r\n\r\n"));
        fail(x, &format!("2;{half}\r\nhe\r\n3;{half}x\r\nllo\r\n0\r\n\r\n"));
    }

    fn a_trailer_section_has_at_most_16_kib(x) {
        let section = |len: usize| format!("X: {}\r\n\r\n", "y".repeat(len - 7));
        pass(x, &format!("5\r\nhello\r\n0\r\n{}", section(16 << 10)));
        fail(x, &format!("5\r\nhello\r\n0\r\n{}", section((16 << 10) + 1)));
    }

    fn a_trailer_section_has_at_most_64_lines(x) {
        pass(x, &format!("5\r\nhello\r\n0\r\n{}\r\n", "X: y\r\n".repeat(64)));
        fail(x, &format!("5\r\nhello\r\n0\r\n{}\r\n", "X: y\r\n".repeat(65)));
    }
}
