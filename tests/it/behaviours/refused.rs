//! How a refusal is written down: the name of what is refused, and the bytes that are it. Each is
//! sent whole and in two parts, split at every border, the first read before the second is sent.

use super::*;

/// The fault of a request that can be read and whose host is an app's.
pub const APPS: (u16, &str) = (400, "H26");
/// The fault of a request of which nobody can say whose it is.
pub const NOBODYS: (u16, &str) = (400, "bad_request");

/// Rows `name [bytes, …]` of requests that the router refuses with one status and fault.
macro_rules! refused {
    ($verdict:expr; $($name:ident [$($bytes:expr),+ $(,)?])*) => {
        behaviours! { $(fn $name(x) {
            let cases = [$(<Vec<u8>>::from($bytes)),+];
            $crate::behaviours::refused::is_refused(x, $verdict, &cases);
        })* }
    };
}

/// Rows `name [bytes, …]` of answers that the router refuses with 502 and one fault.
macro_rules! not_relayed {
    ($fault:expr; $($name:ident [$($bytes:expr),+ $(,)?])*) => {
        behaviours! { $(fn $name(x) {
            let cases = [$(<Vec<u8>>::from($bytes)),+];
            $crate::behaviours::refused::is_not_relayed(x, $fault, &cases);
        })* }
    };
}

/// A GET with one more header line.
pub fn get(line: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{line}\r\n\r\n")
}

/// A POST with one more header line, and bytes behind it that must not pass for a request.
pub fn post(line: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a.test\r\n{line}\r\n\r\nGET /x HTTP/1.1\r\nHost: a.test\r\n")
}

/// Refused with that verdict wherever it is split: closed, logged, and no dyno heard of it.
pub fn is_refused(x: &mut Case, verdict: (u16, &str), cases: &[Vec<u8>]) {
    let mut count = 0;
    for case in cases {
        // What stands behind the head has its own splits elsewhere.
        let head = case.windows(4).position(|w| w == b"\r\n\r\n").map_or(case.len(), |at| at + 4);
        for border in 1..=head {
            if count > 0 {
                x.again();
            }
            x.send_split(case, border);
            x.is_refused(verdict.0, verdict.1);
            count += 1;
        }
    }
    x.nothing_reached_the_dyno();
    let lines = x.router.log.wait_for_many(&format!(" code={} ", verdict.1), count);
    let end = format!(" dyno= connect= service= status={} bytes= ", verdict.0);
    for line in lines {
        assert!(line.starts_with("at=error ") && line.contains(&end), "{line}");
        let tells = line.contains("cause=") && line.contains(" host=a.test");
        assert!(tells || verdict.1 != "H26", "{line}");
    }
}

/// Answered with 502 and that fault wherever it is split; both connections are closed.
pub fn is_not_relayed(x: &mut Case, fault: &str, cases: &[Vec<u8>]) {
    let mut count = 0;
    for case in cases {
        for border in 1..=case.len() {
            if count > 0 {
                x.again();
            }
            let (_, mut dyno) = x.ask(GET);
            dyno.send(&case[..border]);
            x.catch_up();
            // The router may have had enough.
            let _ = dyno.try_send(&case[border..]);
            x.is_refused(502, fault);
            dyno.take_end();
            count += 1;
        }
    }
    let lines = x.router.log.wait_for_many(&format!(" code={fault} "), count);
    for line in lines {
        assert!(line.starts_with("at=error ") && line.contains(" dyno=web.1 "), "{line}");
        assert!(line.contains(" status=502 ") && !line.contains(" bytes= "), "{line}");
    }
}
