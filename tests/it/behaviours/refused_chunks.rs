//! Chunks that break the coding: from a client 400 and both connections closed, from a dyno the
//! answer is cut. In either direction nothing that could pass for the end of the body goes on.

use super::*;

/// What is sent behind a first good chunk, in two parts split at every border.
macro_rules! bad_chunks {
    ($($name:ident [$($bytes:expr),+ $(,)?])*) => {
        behaviours! { $(fn $name(x) {
            for case in [$(<Vec<u8>>::from($bytes)),+] {
                for border in 1..=case.len() {
                    is_refused(x, &case, border);
                    x.again();
                    is_cut(x, &case, border);
                    x.again();
                }
                is_refused_beside_its_head(x, &case);
                x.again();
                is_cut_beside_its_head(x, &case);
                x.again();
            }
        })* }
    };
}

const UP: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const DOWN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const FIRST: &str = "2\r\nok\r\n";

/// Is there nothing in it that ends a chunked body?
#[track_caller]
fn does_not_end(rest: &[u8]) {
    let rest = String::from_utf8_lossy(rest);
    assert!(!rest.contains("0\r\n\r\n") && !rest.contains("0\r\nX"), "it became {rest:?}");
}

fn is_refused(x: &mut Case, case: &[u8], border: usize) {
    x.send(format!("{UP}{FIRST}"));
    let mut dyno = x.dyno();
    dyno.take_head();
    assert_eq!(dyno.take(FIRST.len()), FIRST.as_bytes());
    x.send_split(case, border);
    x.is_refused(400, "H26");
    does_not_end(&dyno.take_all().0);
}

fn is_refused_beside_its_head(x: &mut Case, case: &[u8]) {
    x.send([UP.as_bytes(), case].concat());
    x.is_refused(400, "H26");
    x.nothing_reached_the_dyno();
    let line = x.router.log.wait_for("code=H26 desc=\"Request Error\" cause=\"bad chunk\"");
    assert!(line.contains(" method=POST path=\"/\" host=a.test "), "{line}");
}

fn is_cut(x: &mut Case, case: &[u8], border: usize) {
    let mut dyno = x.play(GET, format!("{DOWN}{FIRST}"));
    assert_eq!(x.client.take_head().status(), 200);
    assert_eq!(x.client.take(FIRST.len()), FIRST.as_bytes());
    dyno.send(&case[..border]);
    x.catch_up();
    // The router may have had enough.
    let _ = dyno.try_send(&case[border..]);
    does_not_end(&x.client.take_all().0);
    dyno.take_all();
}

/// As nothing was written yet, the client can be told.
fn is_cut_beside_its_head(x: &mut Case, case: &[u8]) {
    let mut dyno = x.play(GET, [DOWN.as_bytes(), case].concat());
    x.is_refused(502, "H17");
    dyno.take_all();
}

bad_chunks! {
    a_size_that_is_no_number ["x\r\n", "-1\r\n", "+1\r\n", "0x1\r\nx\r\n", "\r\n", "1.0\r\n"]
    a_size_with_blanks_around_it [" 5\r\nhello\r\n", "5 \r\nhello\r\n", "\t5\r\nhello\r\n"]
    a_size_that_overflows ["ffffffffffffffff\r\n", "10000000000000000\r\n", "00000000000000005\r\n"]
    a_size_line_that_ends_with_lf_alone ["5\nhello\r\n", "5;x\nhello\r\n"]
    a_cr_that_ends_no_line ["5\rXhello\r\n", "5\r\rhello\r\n", "5;a\rXhello\r\n", "2\r\nab\rX"]
    a_cr_inside_a_size_line ["5\r5\r\nhello\r\n", "5;a\rb\r\nhello\r\n", "5;a=\"\r\"\r\nhello\r\n"]
    controls_in_an_extension ["5;a\0\r\nhello\r\n", "5;a\x7f\r\nhello\r\n"]
    data_that_is_longer_than_its_size ["2\r\nabc\r\n", "2\r\nab3\r\nabc\r\n"]
    data_that_ends_with_lf_alone ["2\r\nab\n", "2\r\nab\r\r\n"]
    a_last_chunk_with_data_behind_it ["0\r\nab\r\n\r\n", "0\r\n2\r\nab\r\n0\r\n\r\n"]
    a_trailer_without_a_colon ["0\r\nX-Sum\r\n\r\n"]
    a_trailer_with_a_blank_before_its_colon ["0\r\nX-Sum : 1\r\n\r\n"]
    a_trailer_that_goes_on_in_a_second_line ["0\r\nX-Sum: 1\r\n 2\r\n\r\n", "0\r\n X: 1\r\n\r\n"]
    a_trailer_line_that_ends_with_lf_alone ["0\r\nX-Sum: 1\n\r\n", "0\r\nX-Sum: 1\r\n\n", "0\n\r\n"]
    a_trailer_of_forbidden_bytes [
        "0\r\nX-Sum: \0\r\n\r\n", "0\r\nX(: 1\r\n\r\n", "0\r\n: 1\r\n\r\n",
    ]
}
