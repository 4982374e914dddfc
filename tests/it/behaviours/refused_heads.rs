//! Requests that two readers could read differently: answered 400 and closed, wherever their bytes
//! are split, and never heard of by a dyno.
//!
//! Invariant: the fault is the app's (`H26`) where the head can be read and its one valid host is
//! an app's, else nobody's (`bad_request`).

use super::refused::*;

refused! { APPS;
    content_length_beside_transfer_encoding [
        post("Content-Length: 3\r\nTransfer-Encoding: chunked"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 0"),
        post("Transfer-Encoding: identity\r\nContent-Length: 3"),
    ]
    two_content_lengths_that_are_equal [post("Content-Length: 3\r\nContent-Length: 3")]
    two_content_lengths_that_differ [
        post("Content-Length: 3\r\nContent-Length: 4"),
        post("Content-Length: 3\r\nX: y\r\ncontent-length: 03"),
    ]
    a_list_of_content_lengths [post("Content-Length: 3, 3"), post("Content-Length: 3,4")]
    a_content_length_with_a_sign [post("Content-Length: +3"), post("Content-Length: -1")]
    a_content_length_that_is_not_decimal [
        post("Content-Length: 0x3"),
        post("Content-Length: 3.0"),
        post("Content-Length: three"),
        post("Content-Length: 3;"),
        post("Content-Length: \u{b3}"),
    ]
    a_content_length_with_a_blank_inside [
        post("Content-Length: 1 1"),
        post("Content-Length: 1\t1"),
    ]
    an_empty_content_length [post("Content-Length:"), post("Content-Length: \t ")]
    a_content_length_that_overflows [
        post("Content-Length: 9223372036854775808"),
        post("Content-Length: 18446744073709551619"),
        post("Content-Length: 99999999999999999999999999"),
        post("Content-Length: 00000000000000000000000003"),
    ]
    a_transfer_coding_that_is_not_chunked [
        post("Transfer-Encoding: gzip"),
        post("Transfer-Encoding: identity"),
        post("Transfer-Encoding: xchunked"),
        post("Transfer-Encoding: chunkedx"),
    ]
    a_transfer_coding_beside_chunked [
        post("Transfer-Encoding: gzip, chunked"),
        post("Transfer-Encoding: chunked, gzip"),
        post("Transfer-Encoding: chunked, chunked"),
        post("Transfer-Encoding: , chunked"),
        post("Transfer-Encoding: chunked,"),
    ]
    two_transfer_encodings [
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
    ]
    a_transfer_coding_with_a_parameter [
        post("Transfer-Encoding: chunked;x"),
        post("Transfer-Encoding: chunked; q=1"),
    ]
    an_empty_transfer_encoding [post("Transfer-Encoding:")]
    a_quoted_transfer_coding [post("Transfer-Encoding: \"chunked\"")]
    a_transfer_encoding_in_http_1_0 [
        "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]
    a_host_at_odds_with_an_absolute_target [
        "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test:81/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://a.test/ HTTP/1.1\r\nHost: a.test:81\r\n\r\n",
    ]
    an_absolute_target_with_a_user [
        "GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http://u:p@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    an_absolute_target_without_a_host [
        "GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET http:// HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    a_target_of_no_known_form [
        "GET x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET ?q HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    an_asterisk_for_another_method_than_options [
        "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    a_connection_that_names_host [get("Connection: host"), get("Connection: close, HOST")]
    a_connection_that_names_what_frames [
        post("Content-Length: 3\r\nConnection: Content-Length"),
        post("Connection: transfer-encoding"),
    ]
    a_connection_that_names_what_the_router_sets [
        get("Connection: close, X-Forwarded-For"),
        get("Connection: x-forwarded-proto"),
        get("Connection: x-forwarded-port"),
        get("Connection: x-request-id"),
        get("Connection: x-request-start"),
        get("Connection: via"),
    ]
    a_connection_that_is_no_list_of_tokens [
        get("Connection: keep alive"),
        get("Connection: \"close\""),
        get("Connection: close; x"),
    ]
    a_connection_that_asks_for_an_upgrade_to_nothing [
        get("Connection: upgrade"),
        get("Connection: keep-alive, Upgrade"),
        get("Connection: upgrade\r\nUpgrade:"),
        get("Upgrade: \t \r\nConnection: upgrade"),
    ]
    an_expectation_that_is_no_list_of_expectations [
        get("Expect: ;"),
        get("Expect: \"100-continue\""),
        get("Expect: 100 continue"),
        get("Expect: a=\"b"),
        get("Expect: 100-continue;q=1"),
    ]
}

refused! { NOBODYS;
    a_line_that_ends_with_lf_alone [
        "GET / HTTP/1.1\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n\n",
        "GET / HTTP/1.1\nHost: a.test\n\n",
        "\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    a_cr_that_ends_no_line [
        "GET / HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n",
        "GET / HTTP/1.1\rHost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: a.test\r\n\r\n",
    ]
    white_space_before_a_colon [
        "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX\t: y\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ]
    white_space_at_the_start_of_a_line [
        "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\n\tX: y\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\tz\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n \r\n\r\n",
    ]
    controls_in_a_value [
        get("X: a\0b"), get("X: a\x01b"), get("X: a\x1bb"), get("X: a\x7fb"), get("X: a\x08"),
    ]
    what_no_name_is_made_of [
        get("X y: z"), get("X(y): z"), get("X/y: z"), get("X\u{e9}: z"), get("X\0: z"),
        get("\"X\": z"), get("X,y: z"), get("X@y: z"),
    ]
    a_header_without_a_name [get(": z"), get(":")]
    a_header_without_a_colon [get("no colon"), get("X")]
    controls_and_blanks_in_a_target [
        "GET /a\0b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /a\tb HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /a\x7fb HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    a_request_line_with_other_than_two_single_blanks [
        "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    a_request_line_without_a_version_or_a_target [
        "GET /\r\nHost: a.test\r\n\r\n",
        "GET HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET\r\nHost: a.test\r\n\r\n",
    ]
    a_version_that_is_none [
        "GET / HTTX/1.1\r\nHost: a.test\r\n\r\n",
        "GET / http/1.1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.11\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/a.b\r\nHost: a.test\r\n\r\n",
    ]
    a_method_that_is_no_token [
        "G@T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "G\u{e9}T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    no_host [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://a.test/ HTTP/1.1\r\n\r\n",
    ]
    two_hosts_that_are_the_same ["GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n"]
    two_hosts_that_differ [
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: b.test\r\nX: y\r\nhost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nHost:\r\n\r\n",
    ]
    an_empty_host ["GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: \t\r\n\r\n"]
    a_host_that_is_no_name [
        "GET / HTTP/1.1\r\nHost: a test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: http://a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: .a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: *.a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a..test\r\n\r\n",
    ]
    a_host_whose_port_is_none [
        "GET / HTTP/1.1\r\nHost: a.test:http\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test:80:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test:65536\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test:-1\r\n\r\n",
    ]
    what_is_no_http_at_all [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\0\0\0\0",
        "{\"a\": 1}\r\n\r\n",
        " GET", "\rG", b"\x80",
    ]
    more_than_five_empty_lines_before_a_request [
        "\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
}

refused! { (505, "version_not_supported");
    a_version_that_is_not_spoken [
        "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/3.0\r\nHost: a.test\r\n\r\n",
    ]
    the_preface_of_http_2 ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
}

refused! { (405, "method_not_allowed");
    connect [
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "CONNECT http://a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    trace ["TRACE / HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n"]
}

refused! { (417, "H26");
    an_expectation_that_nobody_meets [
        get("Expect: tea"),
        get("Expect: 100-stay"),
        get("Expect: 100-continue, tea"),
        get("Expect: tea=green"),
        get("Expect: tea=\"green, or black\";sugar=no"),
        get("Expect: 100-continue\r\nExpect: tea"),
    ]
}
