//! Binds listeners, and says which setting to change where that fails.
//!
//! Invariants: a listener that workers share by SO_REUSEPORT is probed without it first, so that
//! two routers never share a port unawares; an IPv6 wildcard takes IPv4 too, and gives way to IPv4
//! alone on a machine without IPv6.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// The length of the accept queue; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Why a listener cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: cannot listen on {addr}: {}", explain(.source))]
pub struct BindError {
    setting: &'static str,
    addr: SocketAddr,
    source: io::Error,
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the port is taken by another process; stop it, or choose another port".into()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose a higher one".into()
        }
        _ => error.to_string(),
    }
}

/// Binds one listener per address.
pub fn single(setting: &'static str, addrs: &[SocketAddr]) -> Result<Vec<TcpListener>, BindError> {
    addrs.iter().map(|addr| listen(setting, *addr, false)).collect()
}

/// Binds, for each of `count` workers, one listener per address, sharing the ports.
pub fn shared(
    setting: &'static str,
    addrs: &[SocketAddr],
    count: usize,
) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut bound = Vec::with_capacity(addrs.len());
    for addr in addrs {
        let probe = listen(setting, *addr, false)?;
        // Port 0 stands for any: all workers then share the one that the probe got.
        let found = probe.local_addr().unwrap_or(*addr);
        drop(probe);
        bound.push(found);
    }
    let of_worker = |_| bound.iter().map(|addr| listen(setting, *addr, true)).collect();
    (0..count).map(of_worker).collect()
}

fn listen(setting: &'static str, addr: SocketAddr, shared: bool) -> Result<TcpListener, BindError> {
    let result = match try_listen(addr, shared) {
        Err(error) if addr.is_ipv6() && addr.ip().is_unspecified() && lacks_ipv6(&error) => {
            let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), addr.port());
            try_listen(v4, shared)
        }
        result => result,
    };
    result.map_err(|source| BindError { setting, addr, source })
}

fn lacks_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn try_listen(addr: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(!addr.ip().is_unspecified())?;
    }
    // A port whose last connections are still in TIME_WAIT is free for us.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Connections inherit it on Linux (tcp(7)), which spares a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Raises the limit on open files to what the system allows this process.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit on open files stays at {:?}: {error}", limit.current);
    }
}
