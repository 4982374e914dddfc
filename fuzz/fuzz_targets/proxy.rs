//! The PROXY protocol: what a header says, however it comes.
//!
//! Invariants that are tried: a header is the same whatever is behind it and wherever it is cut; a
//! whole one is not read before its last byte; what it says reads back from a header that is
//! written anew, and from the text of version 1.
#![no_main]

use hostler::wire::proxy::{self, Header, MAX_HEADER};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match proxy::parse(data) {
        Ok(Some(header)) => whole(data, header),
        // Only what may still become one is waited for, and never beyond the bound.
        Ok(None) => assert!(data.len() < MAX_HEADER),
        Err(error) => {
            // More bytes make no wrong beginning right.
            assert_eq!(proxy::parse(&[data, b"\r\n"].concat()), Err(error));
        }
    }
});

fn whole(data: &[u8], header: Header) {
    assert!(header.len <= data.len() && header.len <= MAX_HEADER);
    let bytes = &data[..header.len];
    assert_eq!(proxy::parse(bytes), Ok(Some(header)));
    assert_eq!(proxy::parse(&[bytes, b"GET / HTTP/1.1\r\n\r\n"].concat()), Ok(Some(header)));
    for len in 0..bytes.len() {
        assert_eq!(proxy::parse(&bytes[..len]), Ok(None));
    }
    let Some((client, to)) = header.addresses else { return };
    let anew = proxy::v2(client, to);
    assert_eq!(proxy::parse(&anew).unwrap().unwrap().addresses, header.addresses);
    if client.is_ipv4() == to.is_ipv4() {
        let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
        let (from, at) = (client.port(), to.port());
        let line = format!("PROXY {family} {} {} {from} {at}\r\n", client.ip(), to.ip());
        let read = Header { len: line.len(), addresses: header.addresses };
        assert_eq!(proxy::parse(line.as_bytes()), Ok(Some(read)));
    }
}
