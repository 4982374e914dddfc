//! Dynos: one that a test plays byte by byte, and one that answers by itself.
//!
//! Invariants: a scripted dyno accepts only when the test says so, so what it accepts first is what
//! the router sent first; an address that refuses is held, so that nobody else can come to listen.

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};

use super::{Conn, DEADLINE};

/// A dyno whose every byte is the test's.
pub struct Dyno {
    listener: Listener,
    /// Its address as it is pushed.
    pub addr: String,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Dyno {
    /// On a port of the loopback.
    pub fn new() -> Dyno {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_read_timeout(Some(DEADLINE)).unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        Dyno { listener: Listener::Tcp(listener), addr }
    }

    /// One whose kernel takes next to nothing that it does not read.
    pub fn small() -> Dyno {
        let ClosedPort { socket, addr } = closed_port();
        Conn::make_small(&socket);
        ClosedPort { socket, addr }.open()
    }

    /// On a socket at `path`.
    pub fn unix(path: &Path) -> Dyno {
        let listener = UnixListener::bind(path).unwrap();
        SockRef::from(&listener).set_read_timeout(Some(DEADLINE)).unwrap();
        Dyno { listener: Listener::Unix(listener), addr: format!("unix:{}", path.display()) }
    }

    /// The next connection of the router.
    pub fn accept(&self) -> Conn {
        match &self.listener {
            Listener::Tcp(listener) => listener.accept().expect("a connection").0.into(),
            Listener::Unix(listener) => listener.accept().expect("a connection").0.into(),
        }
    }

    /// Is a connection waiting to be accepted?
    pub fn has_caller(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut waiting = match &self.listener {
            Listener::Tcp(listener) => [PollFd::new(listener, PollFlags::IN)],
            Listener::Unix(listener) => [PollFd::new(listener, PollFlags::IN)],
        };
        poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    /// Is no connection waiting to be accepted?
    pub fn is_idle(&self) -> bool {
        !self.has_caller()
    }
}

/// A dyno that answers every request with its name, the request line and how much body came.
pub struct Named {
    /// Its address as it is pushed.
    pub addr: String,
    requests: Arc<AtomicUsize>,
}

impl Named {
    /// Starts it.
    pub fn start(name: &'static str) -> Named {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let count = count.clone();
                thread::spawn(move || answer(name, stream, &count));
            }
        });
        Named { addr, requests }
    }

    /// How many requests it has had.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn answer(name: &str, stream: std::net::TcpStream, count: &AtomicUsize) {
    // Idle for as long as the router likes; the thread ends with the connection.
    let probe = stream.try_clone().unwrap();
    let mut conn = Conn::from(stream);
    loop {
        conn.socket().set_read_timeout(None).unwrap();
        if !matches!(probe.peek(&mut [0]), Ok(1)) {
            return;
        }
        let request = conn.take_request();
        count.fetch_add(1, Ordering::SeqCst);
        let body = format!("{name} {} {}\n", request.head.line, request.body.len());
        let to_head = request.head.line.starts_with("HEAD ");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-Dyno: {name}\r\nContent-Length: {}\r\n\r\n{}",
            body.len(),
            if to_head { "" } else { &body }
        );
        if conn.try_send(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// An address that refuses connections for as long as it is held.
pub struct ClosedPort {
    socket: Socket,
    /// The address.
    pub addr: String,
}

impl ClosedPort {
    /// A dyno comes up at this address.
    pub fn open(self) -> Dyno {
        self.socket.listen(1024).unwrap();
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Dyno { listener: Listener::Tcp(self.socket.into()), addr: self.addr }
    }

    /// It comes up, but hung: no further connection is ever taken. Answers what fills its queue.
    pub fn hang(&self) -> Vec<Socket> {
        self.socket.listen(0).unwrap();
        let addr = self.socket.local_addr().unwrap();
        let fill = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let connected = socket.connect_timeout(&addr, Duration::from_millis(200));
            (socket, connected.is_ok())
        };
        let mut filling = Vec::new();
        for _ in 0..MOST_QUEUED {
            let (socket, connected) = fill();
            filling.push(socket);
            if !connected {
                return filling;
            }
        }
        panic!("the queue of {} does not fill", self.addr);
    }
}

/// The most connections that a queue of length 0 may take all the same.
const MOST_QUEUED: usize = 16;

/// Takes a port without listening on it.
pub fn closed_port() -> ClosedPort {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap().to_string();
    ClosedPort { socket, addr }
}
