//! The PROXY protocol's header by the examples of its document, byte by byte.
//!
//! Invariant: where the bytes are cut makes no difference, and what is behind a header neither.

use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Version 2 with that command, family, and bytes behind.
fn binary(command: u8, family: u8, behind: &[u8]) -> Vec<u8> {
    let length = (behind.len() as u16).to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, behind].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0x01, 0xbb];

fn both() -> Option<(SocketAddr, SocketAddr)> {
    Some((addr("192.0.2.1:12345"), addr("198.51.100.2:443")))
}

/// A header is read at its last byte, not before, whatever is behind it.
#[track_caller]
fn is_read(header: &[u8], addresses: Option<(SocketAddr, SocketAddr)>) {
    for len in 0..header.len() {
        assert_eq!(parse(&header[..len]), Ok(None), "{len} of {header:?}");
    }
    let read = Ok(Some(Header { len: header.len(), addresses }));
    assert_eq!(parse(header), read, "{header:?}");
    for behind in [&b"G"[..], b"GET / HTTP/1.1\r\n\r\n", b"PROXY ", &[0x16, 3, 1], &[0; 5000]] {
        assert_eq!(parse(&[header, behind].concat()), read);
    }
}

#[track_caller]
fn is_refused(bytes: &[u8], error: ProxyError) {
    assert_eq!(parse(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
    assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n\r\n"].concat()), Err(error));
}

#[test]
fn a_line_of_text_is_read() {
    is_read(b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", both());
    let long = "ffff:f:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY TCP6 {long} ::1 65535 0\r\n");
    is_read(line.as_bytes(), Some((addr(&format!("[{long}]:65535")), addr("[::1]:0"))));
    is_read(b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 12345 443\r\n", both());
    for unknown in ["UNKNOWN", "UNKNOWN ", "UNKNOWN ffff::1 ffff::2 65535 65535", "UNKNOWN  x y"] {
        is_read(format!("PROXY {unknown}\r\n").as_bytes(), None);
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(longest.len(), 107);
    is_read(longest.as_bytes(), None);
}

#[test]
fn a_line_that_is_not_as_the_document_has_it_is_refused() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
        "PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY TCP6 [::1] [::1] 1 2\r\n",
        "PROXY TCP5 ::1 ::1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN \0\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
        "PROXY TCP4 192.0.2.1\r198.51.100.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1\t198.51.100.2 1 2\r\n",
    ] {
        is_refused(line.as_bytes(), ProxyError::Malformed);
    }
    is_refused(format!("PROXY UNKNOWN {}\r\n", "x".repeat(92)).as_bytes(), ProxyError::TooLong);
    assert_eq!(parse(b"PROXY \0"), Err(ProxyError::Malformed), "no line goes on so");
    assert_eq!(parse(b"PROXY \rx"), Err(ProxyError::Malformed));
}

#[test]
fn what_begins_like_no_header_is_told_at_its_first_wrong_byte() {
    assert_eq!(parse(b""), Ok(None));
    for bytes in [
        &b"G"[..],
        b"\0",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n",
        b"proxy ",
        b"\r\nPROXY ",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"PROXY\r\n",
    ] {
        is_refused(bytes, ProxyError::Missing);
    }
}

#[test]
fn a_binary_header_is_read() {
    is_read(&binary(0x21, 0x11, &V4), both());
    let v6 = [[0xfe; 16], [0xfd; 16]].concat();
    let v6 = [&v6[..], &[0, 1, 0, 2]].concat();
    let (from, to) = (
        "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:1",
        "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:2",
    );
    is_read(&binary(0x21, 0x21, &v6), Some((addr(from), addr(to))));
    // A socket of the machine's own, no address, and the balancer itself.
    is_read(&binary(0x21, 0x31, &[0; 216]), None);
    is_read(&binary(0x21, 0x00, &[]), None);
    is_read(&binary(0x21, 0x00, b"whatever"), None);
    is_read(&binary(0x20, 0x00, &[]), None);
    is_read(&binary(0x20, 0x11, &V4), None);
    is_read(&binary(0x20, 0xff, &[1, 2, 3]), None);
}

#[test]
fn a_binary_header_that_is_not_as_the_document_has_it_is_refused() {
    for (command, family) in [
        (0x11, 0x11),
        (0x01, 0x11),
        (0x22, 0x11),
        (0x2f, 0x11),
        (0x31, 0x11),
        (0x21, 0x12),
        (0x21, 0x22),
        (0x21, 0x32),
        (0x21, 0x01),
        (0x21, 0x10),
        (0x21, 0x41),
        (0x21, 0xff),
    ] {
        is_refused(&binary(command, family, &[0; 216]), ProxyError::Malformed);
    }
    for (family, len) in [(0x11, 11), (0x21, 35), (0x31, 215), (0x11, 0)] {
        is_refused(&binary(0x21, family, &vec![0; len]), ProxyError::Malformed);
    }
    is_read(&binary(0x21, 0x00, &[0; 2048]), None);
    is_refused(&binary(0x21, 0x00, &[0; 2049]), ProxyError::TooLong);
    is_refused(&binary(0x20, 0x00, &[0; 65535]), ProxyError::TooLong);
}

/// The header with more to tell behind the addresses.
fn telling(more: &[u8]) -> Vec<u8> {
    binary(0x21, 0x11, &[&V4[..], more].concat())
}

#[test]
fn what_is_told_beside_the_addresses_is_passed_over() {
    is_read(&telling(&[0x04, 0, 0]), both());
    is_read(&telling(&[0x01, 0, 2, b'h', b'2', 0x04, 0, 1, 0, 0xee, 0, 3, 1, 2, 3]), both());
    for cut in [&[0x04][..], &[0x04, 0], &[0x04, 0, 1], &[0x04, 0, 0, 1], &[0x04, 0xff, 0xff, 1]] {
        is_refused(&telling(cut), ProxyError::Malformed);
    }
}

#[test]
fn a_checksum_is_compared() {
    let with =
        |sum: [u8; 4]| telling(&[&[0x04, 0, 1, 9, CRC32C, 0, 4], &sum[..], &[0x05, 0, 0]].concat());
    let sum = crc32c::of(&with([0; 4])).to_be_bytes();
    is_read(&with(sum), both());
    for bit in 0..32 {
        is_refused(&with((u32::from_be_bytes(sum) ^ 1 << bit).to_be_bytes()), ProxyError::Checksum);
    }
    let mut lies = with(sum);
    lies[16] ^= 1;
    is_refused(&lies, ProxyError::Checksum);
    for wrong in [&[CRC32C, 0, 3, 1, 2, 3][..], &[CRC32C, 0, 5, 1, 2, 3, 4, 5], &[CRC32C, 0, 0]] {
        is_refused(&telling(wrong), ProxyError::Malformed);
    }
}

#[test]
fn what_is_written_is_read() {
    for (client, connected_to) in [
        ("192.0.2.1:12345", "198.51.100.2:443"),
        ("[2001:db8::1]:1", "[2001:db8::2]:65535"),
        ("[2001:db8::1]:1", "198.51.100.2:443"),
        ("192.0.2.1:1", "[2001:db8::2]:443"),
        ("[::ffff:192.0.2.1]:1", "198.51.100.2:443"),
    ] {
        let canonical = |text: &str| {
            let addr = addr(text);
            SocketAddr::new(addr.ip().to_canonical(), addr.port())
        };
        let (client, connected_to) = (canonical(client), canonical(connected_to));
        is_read(&v2(client, connected_to), Some((client, connected_to)));
    }
    assert_eq!(v2(addr("192.0.2.1:12345"), addr("198.51.100.2:443")), binary(0x21, 0x11, &V4));
}
