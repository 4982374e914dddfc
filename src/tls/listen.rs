//! The clients' side: one listener for the names of all certificates that were pushed.
//!
//! Invariants: the certificate is chosen by what the client's greeting says and what the table
//! holds at that moment; a client that names no host, or one that none covers, meets the default
//! one; tickets are sealed with keys that all workers share and that are replaced every six hours,
//! those before them still being taken (`TicketRotator`), and at once, those before them for
//! nothing, when the clients' authorities change; no session is kept here; no early data is taken,
//! since it could be played again; HTTP/2 is offered where the settings say.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs::Ticketer,
    pki_types::TrustAnchor,
    server::{
        ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::sync::watch;

use super::{
    accept::{self, AcceptFiles, Renewal},
    certificate::Facts,
    certificates::{Certificates, Credential, seconds},
    files::FileError,
    identity::Identity,
    proven::Proven,
    session::{Broken, Session},
};

/// HTTP/2 as it is agreed on inside TLS (RFC 9113, section 3.2).
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// How many tickets a client of TLS 1.3 is given: it gets another with each connection.
const TICKETS: usize = 1;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenFiles {
    /// The default certificate, and whose certificates clients are asked for.
    pub files: AcceptFiles,
    /// The default certificate was made here, and proves nothing.
    pub is_self_signed: bool,
    /// TLS 1.2 is refused.
    pub only_tls13: bool,
    /// HTTP/2 is offered.
    pub http2: bool,
}

/// Where the pushed certificates are.
pub trait Names: Send + Sync {
    /// They as they are now.
    fn certificates(&self) -> Arc<Certificates>;
}

/// Accepts the connections of clients.
#[derive(Clone)]
pub struct Listener {
    offer: watch::Receiver<Arc<Offer>>,
    names: Arc<dyn Names>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// What every connection is offered.
struct Offer {
    settings: ListenFiles,
    config: ServerConfig,
    /// Who judges the clients' certificates, where they are asked for one.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    default: Arc<Credential>,
}

impl Listener {
    /// Reads the files.
    ///
    /// # Errors
    /// If one of them cannot be read, or they do not fit each other.
    pub fn open(
        settings: ListenFiles,
        names: Arc<dyn Names>,
    ) -> Result<(Listener, Renewal), FileError> {
        let files = settings.files.clone();
        let mut tickets = Tickets::default();
        let make =
            move |identity: &Identity| Offer::make(&settings, identity, &mut tickets).map(Arc::new);
        let (offer, renewal) = Renewal::open("https", files, make)?;
        Ok((Listener { offer, names }, renewal))
    }

    /// A connection that is about to begin.
    ///
    /// # Errors
    /// If the library cannot make one.
    pub fn greet(&self) -> Result<(Session, Greeting), Broken> {
        let offer = self.offer.borrow().clone();
        let mut config = match &offer.clients {
            None => offer.config.clone(),
            Some(clients) => {
                let tickets = offer.config.ticketer.clone();
                let proven = Arc::new(Proven::new(clients.clone(), tickets));
                config(&offer.settings, Some(proven.clone()), proven)?
            }
        };
        let chosen = OnceLock::new();
        let greeting = Arc::new(Chooser { offer, names: self.names.clone(), chosen });
        config.cert_resolver = greeting.clone();
        Ok((Session::server(Arc::new(config))?, Greeting(greeting)))
    }
}

/// What seals tickets, and the authorities of the clients that it did so for.
#[derive(Default)]
struct Tickets(Option<(Vec<TrustAnchor<'static>>, Arc<dyn ProducesTickets>)>);

impl Tickets {
    /// What seals those of clients of these authorities: another for others, since a ticket stands
    /// for a proof that may not be good any more.
    fn of(
        &mut self,
        authorities: &[TrustAnchor<'static>],
    ) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        match &self.0 {
            Some((of, tickets)) if of == authorities => Ok(tickets.clone()),
            _ => {
                let tickets = Ticketer::new()?;
                self.0 = Some((authorities.to_vec(), tickets.clone()));
                Ok(tickets)
            }
        }
    }
}

impl Offer {
    fn make(
        settings: &ListenFiles,
        identity: &Identity,
        tickets: &mut Tickets,
    ) -> Result<Offer, FileError> {
        let setup = |error: rustls::Error| FileError::Setup(error.to_string());
        let clients = accept::clients(&settings.files)?;
        let authorities = clients.as_ref().map_or(&[][..], |clients| &clients.authorities.roots);
        let tickets = tickets.of(authorities).map_err(setup)?;
        let clients = clients.map(|clients| clients.verifier);
        let config = config(settings, clients.clone(), tickets).map_err(setup)?;
        let facts = identity.facts.clone().filter(|_| !settings.is_self_signed);
        let default = Arc::new(Credential::of_files(facts, identity.certified.clone()));
        Ok(Offer { settings: settings.clone(), config, clients, default })
    }
}

fn config(
    settings: &ListenFiles,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    let versions = if settings.only_tls13 { &BOTH[..1] } else { BOTH };
    let builder = accept::builder(clients, versions)?;
    // Every connection brings one of its own.
    let mut config = builder.with_cert_resolver(Arc::new(NoCertificate));
    let protocols: &[&[u8]] = if settings.http2 { &[HTTP_2, HTTP_1] } else { &[HTTP_1] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Chooses the certificate of one connection, and remembers it.
struct Chooser {
    offer: Arc<Offer>,
    names: Arc<dyn Names>,
    chosen: OnceLock<Chosen>,
}

struct Chosen {
    asked: Option<Box<str>>,
    credential: Arc<Credential>,
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chooser")
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // A client that has to greet anew, for want of a common key exchange, has chosen already.
        if let Some(chosen) = self.chosen.get() {
            return chosen.credential.certified().cloned();
        }
        let now = seconds(SystemTime::now());
        let certificates = self.names.certificates();
        let schemes = hello.signature_schemes();
        let default = &self.offer.default;
        let named = hello.server_name().and_then(|name| {
            let chosen = certificates.choose(name, schemes, now)?;
            let default_is = !chosen.is_valid(now) && default.covers(name) && default.is_valid(now);
            (!default_is).then_some(chosen)
        });
        let credential = named.unwrap_or(default).clone();
        let certified = credential.certified().cloned();
        let asked = hello.server_name().map(Into::into);
        self.chosen.get_or_init(|| Chosen { asked, credential });
        certified
    }
}

/// What becomes of a greeting once the handshake is over.
#[derive(Debug)]
pub struct Greeting(Arc<Chooser>);

/// What a handshake found.
#[derive(Debug)]
pub struct Presented {
    credential: Arc<Credential>,
    /// The name that the client asked for, where the certificate proves nothing.
    unproven: Option<Option<Box<str>>>,
    /// The subject of the client's certificate, if it gave one: an authority vouches for it.
    pub client: Option<Box<str>>,
}

impl Greeting {
    /// What the handshake found; none if it is not over.
    pub fn found(self, session: &Session) -> Option<Presented> {
        let chosen = self.0.chosen.get()?;
        let is_default = Arc::ptr_eq(&chosen.credential, &self.0.offer.default);
        let is_unproven = is_default && self.0.offer.settings.is_self_signed;
        Some(Presented {
            credential: chosen.credential.clone(),
            unproven: is_unproven.then(|| chosen.asked.clone()),
            client: session.proof().map(|proof| printable(&Facts::subject_of(proof))),
        })
    }
}

/// A subject as a header can hold it: what is not printable ASCII is escaped as RFC 4514 (section
/// 2.4) lets it be.
fn printable(subject: &str) -> Box<str> {
    let mut text = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b' '..=b'~' => text.push(byte.into()),
            _ => text.push_str(&format!("\\{byte:02X}")),
        }
    }
    text.into()
}

impl Presented {
    /// May a host, in lower case and without a port, be asked for over this connection? Where the
    /// certificate proves nothing, if the client named this host or none, and it `has_own` none.
    pub fn admits(&self, host: &str, has_own: impl FnOnce() -> bool) -> bool {
        match &self.unproven {
            None => self.credential.covers(host),
            Some(asked) => asked.as_deref().is_none_or(|asked| asked == host) && !has_own(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_break_out_of_its_header() {
        assert_eq!(&*printable("CN=ci,O=Example"), "CN=ci,O=Example");
        assert_eq!(
            &*printable("CN=a\r\nX: 1,O=\u{e4}\0\u{7f}"),
            "CN=a\\0D\\0AX: 1,O=\\C3\\A4\\00\\7F"
        );
    }
}
