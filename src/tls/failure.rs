//! Why a connection with TLS did not come about, as whoever made it has to treat it.
//!
//! Invariants: read from the library's types, never from a text; a message says what is wrong, what
//! to do is the caller's to say, who knows the flags.

use std::{error::Error, io};

use rustls::{
    AlertDescription, CertificateError, Error as Tls, InvalidMessage, PeerIncompatible,
    pki_types::UnixTime,
};

/// Why a connection did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its certificate is of an authority that is not trusted.
    #[error("its certificate is not of an authority that is trusted here")]
    UnknownAuthority,
    /// Its certificate has other names.
    #[error("its certificate is for {}, not for the name that was called", names(.0))]
    OtherName(Vec<String>),
    /// Its certificate has ended.
    #[error("its certificate has ended{}", on(.0))]
    Ended(Option<String>),
    /// Its certificate has not begun.
    #[error("its certificate is not valid yet{}", on(.0))]
    NotYet(Option<String>),
    /// It asks for a certificate of ours.
    #[error("it takes only clients that prove themselves with a certificate")]
    WantsCertificate,
    /// It does not take the certificate of ours.
    #[error("it does not take our certificate ({0})")]
    Refused(String),
    /// It does not speak TLS.
    #[error("what came is not TLS")]
    NotTls,
    /// It speaks no version of TLS that we do.
    #[error("it speaks neither TLS 1.2 nor TLS 1.3")]
    Version,
    /// It speaks inside TLS none of the protocols that we asked for.
    #[error("it speaks none of the protocols that were offered (ALPN)")]
    Protocol,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// What TLS has to say of an error, wherever in it.
    pub fn in_error(error: &(dyn Error + 'static)) -> Option<Failure> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            // An `io::Error` tells what it carries by a way of its own.
            let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let carried = carried.and_then(|inner| inner.downcast_ref::<Tls>());
            if let Some(tls) = error.downcast_ref::<Tls>().or(carried) {
                return Some(Failure::of(tls));
            }
            cause = error.source();
        }
        None
    }

    pub(super) fn of(error: &Tls) -> Failure {
        match error {
            Tls::InvalidCertificate(certificate) => Failure::of_certificate(certificate),
            Tls::NoCertificatesPresented => Failure::WantsCertificate,
            Tls::AlertReceived(alert) => Failure::of_alert(*alert),
            Tls::InvalidMessage(InvalidMessage::InvalidContentType) => Failure::NotTls,
            Tls::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::ServerDoesNotSupportTls12Or13,
            ) => Failure::Version,
            other => Failure::Other(other.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError) -> Failure {
        match error {
            // The latter is one that bears a known name, but another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Failure::UnknownAuthority
            }
            CertificateError::NotValidForName => Failure::OtherName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                Failure::OtherName(presented.clone())
            }
            CertificateError::Expired => Failure::Ended(None),
            CertificateError::ExpiredContext { not_after, .. } => Failure::Ended(date(*not_after)),
            CertificateError::NotValidYet => Failure::NotYet(None),
            CertificateError::NotValidYetContext { not_before, .. } => {
                Failure::NotYet(date(*not_before))
            }
            other => Failure::Other(format!("its certificate cannot be trusted: {other}")),
        }
    }

    fn of_alert(alert: AlertDescription) -> Failure {
        use AlertDescription as A;
        match alert {
            A::CertificateRequired => Failure::WantsCertificate,
            A::ProtocolVersion => Failure::Version,
            A::NoApplicationProtocol => Failure::Protocol,
            A::UnknownCA | A::DecryptError => {
                Failure::Refused("it does not know its authority".into())
            }
            A::CertificateExpired => Failure::Refused("it has ended or not begun".into()),
            A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateUnknown
            | A::AccessDenied => Failure::Refused(format!("{alert:?}")),
            other => Failure::Other(format!("it ended the connection with the alert {other:?}")),
        }
    }
}

/// The library writes `DnsName("a.test")` and `IpAddress(127.0.0.1)`.
fn names(names: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        inner.trim_end_matches(')').trim_matches('"').to_owned()
    };
    let names: Vec<String> = names.iter().map(bare).collect();
    if names.is_empty() { "no name at all".into() } else { names.join(", ") }
}

fn on(date: &Option<String>) -> String {
    date.as_ref().map(|date| format!(" ({date})")).unwrap_or_default()
}

fn date(at: UnixTime) -> Option<String> {
    let since = std::time::Duration::from_secs(at.as_secs());
    Some(httpdate::fmt_http_date(std::time::UNIX_EPOCH.checked_add(since)?))
}
