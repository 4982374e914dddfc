//! Methods: any token passes; those of the router itself do not.

use super::*;

behaviours! {
    fn any_token_passes_as_it_is(x) {
        for method in [
            "GET",
            "PATCH",
            "PROPFIND",
            "M-SEARCH",
            "get",
            "BREW",
            "X",
            "GETX",
            "!#$%&'*+-.^_`|~",
            "0123456789",
            "Connect",
            "trace",
            "HEAD2",
            "QUERY",
        ] {
            let (request, mut dyno) =
                x.ask(format!("{method} /x HTTP/1.1\r\nHost: a.test\r\n\r\n"));
            assert_eq!(request.head.line, format!("{method} /x HTTP/1.1"));
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok", "{method}");
            x.both_go_on(dyno);
        }
    }

    /// RFC 9110, section 7.6.2.
    fn options_that_may_go_no_further_are_answered_here(x) {
        for path in ["*", "/x", "http://a.test"] {
            x.send(format!("OPTIONS {path} HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n"));
            let answer = x.client.take_answer();
            assert_eq!((answer.verdict(), answer.text().as_str()), ((200, ""), ""), "{path}");
            assert!(answer.head.get("allow").unwrap().contains("GET"), "{answer:?}");
            assert_eq!(answer.head.get("connection"), None);
        }
        let dyno = x.client_goes_on();
        x.both_go_on(dyno);
    }

    fn options_that_may_go_further_are_counted_down(x) {
        // The largest number that is counted stands for those beyond it.
        let most = ("99999999999999999999", "4294967294");
        for (sent, went_on) in [("1", "0"), ("10", "9"), ("007", "6"), most] {
            let (request, mut dyno) = x
                .ask(format!("OPTIONS * HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: {sent}\r\n\r\n"));
            assert_eq!(request.head.get("max-forwards"), Some(went_on));
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    fn max_forwards_means_nothing_to_other_methods(x) {
        for method in ["GET", "POST", "BREW"] {
            let (request, mut dyno) =
                x.ask(format!("{method} / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n"));
            assert_eq!(request.head.get("max-forwards"), Some("0"), "{method}");
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }
}
