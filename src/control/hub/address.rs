//! Where a dyno may listen: what the settings allow, and never where this process does.
//!
//! Invariants: addresses are compared in their canonical form (a mapped IPv4 address is IPv4); a
//! listener on every address is ours on each address of this machine that it takes connections on.
//! Pure but for one question to the system, which is asked for the port of such a listener alone.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
};

use super::settings::Settings;
use crate::route::{DynoAddr, network};

/// Says why a dyno may not listen there, if it may not.
pub fn objection(addr: &DynoAddr, settings: &Settings) -> Option<String> {
    match addr {
        DynoAddr::Ip(addr) => {
            let allowed =
                settings.networks.is_empty() || network::is_within(&settings.networks, addr.ip());
            if !allowed {
                return Some(format!(
                    "{} is in none of the networks that dynos.networks allows",
                    addr.ip()
                ));
            }
            let own = settings.own_listeners.iter().find(|listener| is_own(**listener, *addr))?;
            Some(format!(
                "{addr} is where this router itself listens ({own}): give the dyno's own address"
            ))
        }
        DynoAddr::Unix(path) => {
            let below = |dir: &Path| path.strip_prefix(dir).is_ok_and(|rest| rest != Path::new(""));
            if settings.socket_dirs.iter().any(|dir| below(dir)) {
                return None;
            }
            Some(format!(
                "{} is below none of the directories that dynos.socket_dirs allows",
                path.display()
            ))
        }
    }
}

fn is_own(listener: SocketAddr, addr: SocketAddr) -> bool {
    let (listens, ip) = (listener.ip().to_canonical(), addr.ip().to_canonical());
    let on_every = match listens {
        IpAddr::V4(v4) => v4.is_unspecified() && ip.is_ipv4(),
        // Dual-stack: takes connections of both families.
        IpAddr::V6(v6) => v6 == Ipv6Addr::UNSPECIFIED,
    };
    listener.port() == addr.port()
        && (listens == ip || on_every && (ip.is_loopback() || is_of_this_machine(ip)))
}

/// Is it an address of this machine? Whoever speaks to one of those speaks from it (nothing is sent
/// to find out), but for a second one of a network; that can be bound to, which proves it unless
/// the system allows that for any (`ip_nonlocal_bind`).
fn is_of_this_machine(ip: IpAddr) -> bool {
    const DISCARD: u16 = 9;
    // Nobody's: of those for documents (RFC 5737 and 3849).
    let (any, nobodys): (IpAddr, IpAddr) = match ip {
        IpAddr::V4(_) => ([0; 4].into(), [192, 0, 2, 1].into()),
        IpAddr::V6(_) => ([0; 16].into(), [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
    };
    let can_be_bound = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    let spoken_from = || -> io::Result<IpAddr> {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((ip, DISCARD))?;
        Ok(socket.local_addr()?.ip())
    };
    spoken_from().is_ok_and(|from| from == ip) || (can_be_bound(ip) && !can_be_bound(nobodys))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn settings() -> Settings {
        Settings {
            networks: vec![("10.0.0.0".parse().unwrap(), 8), ("fd00::".parse().unwrap(), 16)],
            socket_dirs: vec!["/run/dynos".into()],
            own_listeners: vec![],
            ..Settings::default()
        }
    }

    fn refused(addr: &str, settings: &Settings) -> bool {
        objection(&DynoAddr::parse(addr).unwrap(), settings).is_some()
    }

    #[test]
    fn an_address_outside_of_the_networks_is_refused() {
        let settings = settings();
        assert!(!refused("10.255.0.1:80", &settings));
        assert!(!refused("[::ffff:10.1.2.3]:80", &settings));
        assert!(!refused("[fd00:0:1::2]:80", &settings));
        assert!(refused("11.0.0.1:80", &settings));
        assert!(refused("[fd01::1]:80", &settings));
        let reason = objection(&DynoAddr::parse("11.0.0.1:80").unwrap(), &settings).unwrap();
        assert!(reason.contains("dynos.networks"), "{reason}");
    }

    #[test]
    fn prefixes_of_no_and_of_all_bits_hold() {
        let of = |network: &str, prefix| Settings {
            networks: vec![(network.parse().unwrap(), prefix)],
            ..Settings::default()
        };
        assert!(!refused("1.2.3.4:80", &of("0.0.0.0", 0)));
        assert!(refused("[fd00::1]:80", &of("0.0.0.0", 0)));
        assert!(!refused("[2001:db8::1]:80", &of("::", 0)));
        assert!(!refused("1.2.3.4:80", &of("1.2.3.4", 32)));
        assert!(refused("1.2.3.5:80", &of("1.2.3.4", 32)));
        assert!(refused("[fd00::1]:80", &of("fd00::2", 128)));
    }

    #[test]
    fn without_networks_every_address_is_allowed_and_without_directories_no_socket() {
        assert!(!refused("203.0.113.7:80", &Settings::default()));
        assert!(refused("unix:/run/dynos/a.sock", &Settings::default()));
    }

    #[test]
    fn a_socket_lies_below_an_allowed_directory() {
        assert!(!refused("unix:/run/dynos/blog/web.1", &settings()));
        assert!(refused("unix:/run/dynos", &settings()));
        assert!(refused("unix:/run/dynos2/a", &settings()));
        let addr = DynoAddr::parse("unix:/tmp/a").unwrap();
        assert!(objection(&addr, &settings()).unwrap().contains("dynos.socket_dirs"));
    }

    #[test]
    fn a_listener_on_every_address_is_refused_by_each_of_this_machines() {
        // 192.0.2.1 is nobody's (RFC 5737); a machine without a network has loopback alone.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = match socket.connect("192.0.2.1:9") {
            Ok(()) => socket.local_addr().unwrap().ip(),
            Err(_) => Ipv4Addr::LOCALHOST.into(),
        };
        for every in ["[::]:8080", "0.0.0.0:8080"] {
            let own_listeners = vec![every.parse().unwrap()];
            let settings = Settings { own_listeners, ..Settings::default() };
            assert!(refused(&format!("{own}:8080"), &settings), "{own} {every}");
            assert!(!refused(&format!("{own}:8081"), &settings), "{own} {every}");
            assert!(!refused("203.0.113.7:8080", &settings), "{every}");
            assert!(!refused("[2001:db8::7]:8080", &settings), "{every}");
        }
    }

    #[test]
    fn own_listeners_are_refused_by_loopback_too() {
        let on = |listener: &str| Settings {
            own_listeners: vec![listener.parse().unwrap()],
            ..Settings::default()
        };
        assert!(refused("127.0.0.1:8080", &on("[::]:8080")));
        assert!(refused("[::1]:8080", &on("[::]:8080")));
        assert!(refused("127.0.0.2:8080", &on("0.0.0.0:8080")));
        assert!(refused("10.0.0.1:8080", &on("10.0.0.1:8080")));
        assert!(!refused("127.0.0.1:8081", &on("[::]:8080")));
        assert!(!refused("10.0.0.2:8080", &on("10.0.0.1:8080")));
        assert!(!refused("[::1]:8080", &on("0.0.0.0:8080")));
        assert!(!refused("127.0.0.2:8080", &on("127.0.0.1:8080")));
    }
}
