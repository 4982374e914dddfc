//! Every fault of `src/error.rs`, each raised in its own situation: what the client is told, what
//! the log says, what is counted, and how the connections go on.
//!
//! A fault is shown by a fact that names it, in one of the files `faults_*`. Invariant: each fault
//! has one; over HTTP/1 alone there is none that cannot arise.

use hostler::error::Fault;

use super::*;
use crate::harness::{lines::steady, until};

/// As `behaviours!`, each fact with the fault that it shows; lists these faults as `SHOWN`.
macro_rules! faults {
    ($($fault:ident => fn $name:ident($x:ident $(: $setup:expr)?) $body:block)*) => {
        behaviours! { $(fn $name($x $(: $setup)?) $body)* }

        /// The faults that are shown here.
        pub const SHOWN: &[hostler::error::Fault] = &[$(hostler::error::Fault::$fault),*];
    };
}
pub(super) use faults;

#[test]
fn every_fault_is_shown() {
    let shown = [
        faults_app::SHOWN,
        faults_client::SHOWN,
        faults_dyno::SHOWN,
        faults_head::SHOWN,
        faults_limits::SHOWN,
        faults_router::SHOWN,
        crate::http2::SHOWN,
        crate::https::SHOWN,
        crate::dyno_tls::SHOWN,
    ]
    .concat();
    let missing: Vec<_> = Fault::ALL.iter().filter(|fault| !shown.contains(fault)).collect();
    assert!(missing.is_empty(), "without a fact that shows it: {missing:?}");
}

impl Case {
    /// The line of the exchange with a fault, whole. `start` is what stands before the method,
    /// `request` has method, path and host, `rest` goes from the dyno to the bytes; times and made
    /// ids are `#`.
    pub fn logs(&self, start: &str, request: &str, rest: &str) {
        self.logs_with("#", " code=", start, request, rest);
    }

    /// As [`logs`](Case::logs), where there are other faults: `code` is in its line alone.
    pub fn logs_of(&self, code: &str, start: &str, request: &str, rest: &str) {
        self.logs_with("#", code, start, request, rest);
    }

    /// As [`logs`](Case::logs), of a request that was refused before it was given an id: it has one
    /// or not.
    pub fn logs_refused(&self, start: &str, request: &str, rest: &str) {
        self.logs_with("*", " code=", start, request, rest);
    }

    fn logs_with(&self, id: &str, code: &str, start: &str, request: &str, rest: &str) {
        let line = self.router.log.find(|line| line.contains(code));
        let line =
            steady(&line.unwrap_or_else(|| panic!("no fault in {:#?}", self.router.log.all())));
        let [method, path, host] =
            <[&str; 3]>::try_from(request.split(' ').collect::<Vec<_>>()).unwrap();
        let pattern = format!(
            "{start} method={method} path=\"{path}\" host={host} request_id={id} \
             fwd=\"127.0.0.1\" {rest} protocol=http1.1 tls=false tls_version= queue=*"
        );
        assert!(fits(&line, &pattern), "\n{line}\nis not\n{pattern}");
    }

    /// So many faults of that code are counted.
    pub fn counts(&self, code: &str, count: u32) {
        let name = format!("hostler_faults_total{{code=\"{code}\"}}");
        until(&format!("{name} is {count}"), || self.router.metric(&name) == f64::from(count));
    }

    /// Has something come for the dyno, on the kept connection or on a new one?
    pub fn dyno_hears(&self) -> bool {
        self.web.has_caller() || self.kept.as_ref().is_some_and(|kept| kept.has_input())
    }

    /// Another app, `two` with the host `b.test`, beside the one of the case.
    pub fn second_app(&self, dynos: &[&str]) {
        self.router.app("two", "b.test", dynos);
    }

    /// The client's connection was closed, with nothing sent before.
    pub fn client_is_cut(&mut self) {
        self.client.take_end();
    }
}

/// Is the text as the pattern says, in which `*` stands for anything?
fn fits(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap()) else { return false };
    let mut is_open = false;
    for part in parts {
        is_open = part.is_empty();
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || is_open
}
