//! Answers of dynos that two readers could read differently: 502, and both connections are closed,
//! wherever their bytes are split.

not_relayed! { "H25";
    two_content_lengths_that_are_equal [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    ]
    two_content_lengths_that_differ [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    ]
    a_list_of_content_lengths [
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2,3\r\n\r\nok",
    ]
    a_content_length_with_a_sign [
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    ]
    a_content_length_that_is_not_decimal [
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2 2\r\n\r\nok",
    ]
    an_empty_content_length ["HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"]
    a_content_length_that_overflows [
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
    ]
}

not_relayed! { "H17";
    content_length_beside_transfer_encoding [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    ]
    a_transfer_coding_that_is_not_chunked [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
    ]
    a_transfer_coding_beside_chunked [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ]
    two_transfer_encodings [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    a_transfer_encoding_in_http_1_0 [
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]
    a_line_that_ends_with_lf_alone [
        "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
    ]
    a_cr_that_ends_no_line [
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok",
    ]
    white_space_before_a_colon [
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX\t: y\r\nContent-Length: 2\r\n\r\nok",
    ]
    white_space_at_the_start_of_a_line [
        "HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: y\r\n\tz\r\nContent-Length: 2\r\n\r\nok",
    ]
    controls_in_a_value [
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\x7fb\r\nContent-Length: 2\r\n\r\nok",
    ]
    what_no_name_is_made_of [
        "HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX(y): z\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n: z\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok",
    ]
    a_connection_that_names_what_frames [
        "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: transfer-encoding\r\nContent-Length: 2\r\n\r\nok",
    ]
    a_connection_that_names_what_the_router_sets [
        "HTTP/1.1 200 OK\r\nConnection: via\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: X-Request-Id\r\nContent-Length: 2\r\n\r\nok",
    ]
    a_connection_that_is_no_list_of_tokens [
        "HTTP/1.1 200 OK\r\nConnection: keep alive\r\nContent-Length: 2\r\n\r\nok",
    ]
    a_status_that_is_no_number_of_three_digits [
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok",
    ]
    a_status_below_every_class ["HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nok"]
    a_version_that_is_not_spoken [
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ]
    controls_in_a_reason_phrase [
        "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 O\x7fK\r\nContent-Length: 2\r\n\r\nok",
    ]
    a_switch_of_protocols_that_nobody_asked_for [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ]
    what_is_no_http_at_all [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "220 mail.test ESMTP\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ]
}
