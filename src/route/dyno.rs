//! A dyno: one running instance of an app, as a plain value.
//!
//! Invariants: a name is 1 to 63 bytes of letters, digits, `.`, `_` and `-` and begins with a
//! letter or digit; a weight is 1 to 1000; a time to live 1 s to 30 days; an address never has port
//! 0; a socket path is absolute and at most 107 bytes (`sun_path` of unix(7)).

use std::{fmt, net::SocketAddr, path::Path, sync::Arc};

/// The most bytes a dyno's name, or its release, may have.
pub const MAX_DYNO_NAME: usize = 63;
/// The longest path of a Unix socket, in bytes: `sun_path` holds 108 with the final zero (unix(7)).
pub const MAX_SOCKET_PATH: usize = 107;
/// The weight of a dyno that was pushed without one.
pub const DEFAULT_WEIGHT: u16 = 100;
/// The largest weight.
pub const MAX_WEIGHT: u16 = 1000;

/// The longest time to live, in seconds: 30 days.
pub const MAX_TTL_S: u32 = 30 * 24 * 3600;

/// The name of a dyno, `web.1`; unique in its app.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DynoName(Arc<str>);

/// Why a text is not the name of a dyno.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a dyno's name is 1 to {MAX_DYNO_NAME} characters of letters, digits, '.', '_' and '-', and \
     begins with a letter or digit"
)]
pub struct DynoNameError;

impl DynoName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<DynoName, DynoNameError> {
        let bytes = text.as_bytes();
        let well_formed = !bytes.is_empty()
            && bytes.len() <= MAX_DYNO_NAME
            && bytes[0].is_ascii_alphanumeric()
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if well_formed { Ok(DynoName(text.into())) } else { Err(DynoNameError) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DynoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DynoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Where a dyno listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DynoAddr {
    /// TCP, IPv4 or IPv6.
    Ip(SocketAddr),
    /// A Unix stream socket, by absolute path.
    Unix(Arc<Path>),
}

/// Why a text is not the address of a dyno.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DynoAddrError {
    /// Neither `IP:port` nor `unix:/path`.
    #[error("an address is IP:port (10.0.0.1:5000, [fd00::1]:5000) or unix:/absolute/path")]
    Form,
    /// Port 0 cannot be connected to.
    #[error("port 0 cannot be connected to")]
    PortZero,
    /// 0.0.0.0, [::], a multicast or the broadcast address names no dyno.
    #[error("{0} names no single machine: give the dyno's own address")]
    NotAHost(std::net::IpAddr),
    /// Link-local addresses carry the machine's metadata service on many clouds.
    #[error("{0} is link-local: dynos there are not allowed")]
    LinkLocal(std::net::IpAddr),
    /// A socket path that is relative, too long, or holds a zero byte.
    #[error("a socket path is absolute, at most {MAX_SOCKET_PATH} bytes, without NUL and ..")]
    SocketPath,
}

impl DynoAddr {
    /// Reads `IP:port` or `unix:/path`.
    pub fn parse(text: &str) -> Result<DynoAddr, DynoAddrError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let well_formed = path.starts_with('/')
                && path.len() > 1
                && path.len() <= MAX_SOCKET_PATH
                && !path.bytes().any(|b| b == 0)
                && !path.split('/').any(|part| part == "..");
            if !well_formed {
                return Err(DynoAddrError::SocketPath);
            }
            return Ok(DynoAddr::Unix(Path::new(path).into()));
        }
        let addr: SocketAddr = text.parse().map_err(|_| DynoAddrError::Form)?;
        let ip = addr.ip().to_canonical();
        if addr.port() == 0 {
            return Err(DynoAddrError::PortZero);
        }
        let (link_local, broadcast) = match ip {
            std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.is_broadcast()),
            std::net::IpAddr::V6(v6) => (v6.is_unicast_link_local(), false),
        };
        if ip.is_unspecified() || ip.is_multicast() || broadcast {
            return Err(DynoAddrError::NotAHost(ip));
        }
        if link_local {
            return Err(DynoAddrError::LinkLocal(ip));
        }
        Ok(DynoAddr::Ip(SocketAddr::new(ip, addr.port())))
    }
}

impl fmt::Display for DynoAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DynoAddr::Ip(addr) => addr.fmt(f),
            DynoAddr::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What the platform says of a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DynoState {
    /// Booting: not yet to be sent requests.
    Starting,
    /// Takes requests.
    #[default]
    Up,
    /// Finishes what it has; gets nothing new.
    Draining,
    /// Not running.
    Crashed,
}

impl DynoState {
    /// The word of the push API.
    pub fn as_str(self) -> &'static str {
        match self {
            DynoState::Starting => "starting",
            DynoState::Up => "up",
            DynoState::Draining => "draining",
            DynoState::Crashed => "crashed",
        }
    }

    /// Reads the word of the push API.
    pub fn parse(text: &str) -> Option<DynoState> {
        [DynoState::Starting, DynoState::Up, DynoState::Draining, DynoState::Crashed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// One running instance of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dyno {
    /// Its name, unique in its app.
    pub name: DynoName,
    /// Where it listens.
    pub addr: DynoAddr,
    /// The release it runs, empty if none was pushed.
    pub release: Arc<str>,
    /// Its share beside the app's other dynos, 1 to [`MAX_WEIGHT`].
    pub weight: u16,
    /// What the platform says of it.
    pub state: DynoState,
    /// Seconds after which it leaves the table unless it is pushed again, 1 to [`MAX_TTL_S`].
    pub ttl_s: Option<u32>,
}
