//! A network that breaks where a test wants it: bytes go through until so many of an answer came.
//!
//! Invariants: what goes through is not looked into; a cut is a reset; where the connections lead
//! can be changed for those that follow, so that a router may come back on another port.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use socket2::SockRef;

/// The network.
pub struct Cutter {
    /// Where it takes connections.
    pub addr: SocketAddr,
    plan: Arc<Mutex<Plan>>,
}

struct Plan {
    leads_to: SocketAddr,
    /// How many bytes of an answer each of the next connections lets through.
    cuts: Vec<usize>,
    open: Vec<TcpStream>,
}

impl Cutter {
    /// Leads there, and cuts nothing.
    pub fn to(leads_to: SocketAddr) -> Cutter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let plan = Arc::new(Mutex::new(Plan { leads_to, cuts: Vec::new(), open: Vec::new() }));
        let ours = plan.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                carry(stream, &ours);
            }
        });
        Cutter { addr, plan }
    }

    /// Leads elsewhere from now on.
    pub fn lead_to(&self, addr: SocketAddr) {
        self.plan.lock().unwrap().leads_to = addr;
    }

    /// Cuts the next connections, each behind so many bytes of its answers.
    pub fn cut_after(&self, bytes: &[usize]) {
        self.plan.lock().unwrap().cuts = bytes.iter().rev().copied().collect();
    }

    /// Cuts what is open.
    pub fn cut_now(&self) {
        self.plan.lock().unwrap().open.drain(..).for_each(|stream| cut(&stream));
    }
}

fn carry(client: TcpStream, plan: &Arc<Mutex<Plan>>) {
    let (leads_to, most) = {
        let mut plan = plan.lock().unwrap();
        (plan.leads_to, plan.cuts.pop().unwrap_or(usize::MAX))
    };
    // Nobody there: the client sees its connection end.
    let Ok(there) = TcpStream::connect(leads_to) else { return };
    plan.lock().unwrap().open.push(client.try_clone().unwrap());
    let (mut from, mut to) = (client.try_clone().unwrap(), there.try_clone().unwrap());
    thread::spawn(move || {
        // Either side may be gone.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || pass(there, client, most));
}

/// Lets an answer through, up to its cut.
fn pass(mut from: TcpStream, mut to: TcpStream, most: usize) {
    let (mut left, mut bytes) = (most, vec![0; 16 << 10]);
    while left > 0 {
        let room = bytes.len().min(left);
        match from.read(&mut bytes[..room]) {
            Ok(count) if count > 0 && to.write_all(&bytes[..count]).is_ok() => left -= count,
            _ => break,
        }
    }
    if left == 0 {
        cut(&to);
    }
    // One of the two may be gone.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// What was let through arrives, then the connection breaks.
fn cut(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}
