//! A network of IP addresses: the first of them, and how many bits they have in common.
//!
//! Invariants: an IPv4 address and its mapped form are one; a length beyond the address's own is
//! that of the address alone.

use std::net::IpAddr;

/// Its first address, and the length of its prefix in bits.
pub type Network = (IpAddr, u8);

/// Is an address in one of these networks?
pub fn is_within(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| contains(*network, address))
}

fn contains((network, prefix): Network, address: IpAddr) -> bool {
    match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            // A mapped network counts its prefix over 128 bits.
            let prefix = if network.is_ipv6() { prefix.saturating_sub(96) } else { prefix };
            let shift = 32_u32.saturating_sub(prefix.into());
            (first.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => {
            let shift = 128_u32.saturating_sub(prefix.into());
            (first.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_within_by_its_first_bits() {
        for (first, prefix, inside, outside) in [
            ("10.0.0.0", 8, "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0", 8, "::ffff:10.1.2.3", "::10.1.2.3"),
            ("1.2.3.4", 32, "1.2.3.4", "1.2.3.5"),
            ("0.0.0.0", 0, "255.255.255.255", "::1"),
            ("::", 0, "2001:db8::1", "1.2.3.4"),
            ("fd00::", 16, "fd00:0:1::2", "fd01::1"),
            ("fd00::2", 128, "fd00::2", "fd00::1"),
            ("192.0.2.128", 25, "192.0.2.255", "192.0.2.127"),
            ("::ffff:10.0.0.0", 104, "10.9.9.9", "11.0.0.1"),
        ] {
            let networks = [(first.parse().unwrap(), prefix)];
            assert!(is_within(&networks, inside.parse().unwrap()), "{inside} {networks:?}");
            assert!(!is_within(&networks, outside.parse().unwrap()), "{outside} {networks:?}");
        }
        assert!(!is_within(&[], "1.2.3.4".parse().unwrap()));
    }
}
