//! Why a call of the push API failed, as the caller has to treat it.
//!
//! Invariants: what the hub refused, what could not be reached and what the caller set wrongly are
//! told apart by type; a message names the address and the setting and says what to do.

use std::{fmt, io, path::PathBuf, time::Duration};

use super::types::{Problem, Receipt};
use crate::tls::{Failure, FileError};

/// Why a call of the push API failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one that the client can call.
    #[error("{url:?} is not the push API's address: {reason} (--url, HOSTLER_URL)")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No token was given and no file holds one.
    #[error(
        "no token: give --token, set HOSTLER_TOKEN or HOSTLER_ADMIN_TOKEN, or name the router's \
         data directory with --data-dir or HOSTLER_DATA_DIR ({path} cannot be read: {source}; the \
         first `hostler serve` makes it)"
    )]
    NoToken {
        /// The file that was looked for.
        path: PathBuf,
        /// Why it could not be read.
        source: io::Error,
    },
    /// The token holds what no header may hold.
    #[error("the token from {from} is empty, too long, or not printable ASCII")]
    BadToken {
        /// Where it came from.
        from: String,
    },
    /// The files of a client's TLS cannot be used.
    #[error(
        "{0} (--ca, HOSTLER_CA; --client-cert, HOSTLER_CLIENT_CERT; --client-key, \
         HOSTLER_CLIENT_KEY)"
    )]
    Files(#[from] FileError),
    /// TLS did not come about.
    #[error("no TLS with the push API at {url}: {failure}{remedy}", remedy = remedy(failure))]
    Tls {
        /// Where the client called.
        url: String,
        /// Why not.
        failure: Failure,
    },
    /// No connection.
    #[error(
        "cannot reach the push API at {url}: {source}. Start the router with `hostler serve`, or \
         name its control listener with --url or HOSTLER_URL"
    )]
    Connect {
        /// Where the client looked.
        url: String,
        /// Why it failed.
        source: io::Error,
    },
    /// No answer in time. A write may have been done nonetheless.
    #[error(
        "the push API at {url} did not answer within {} s; a write may have been done all the same",
        after.as_secs()
    )]
    Timeout {
        /// Where the client asked.
        url: String,
        /// How long it waited.
        after: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the connection to the push API at {url} broke: {source}")]
    Broken {
        /// Where the client asked.
        url: String,
        /// What happened.
        source: hyper::Error,
    },
    /// The hub refused the call.
    #[error("{0}")]
    Refused(Problem),
    /// What was to be sent could not be read.
    #[error("the table cannot be read: {source}; nothing was changed")]
    Input {
        /// Why not.
        source: io::Error,
    },
    /// The write is done, but the time to wait for the routers was over before all served it.
    #[error(
        "revision {} is made, but not every live router serves it yet: {} {} behind",
        .0.revision,
        .1.join(", "),
        if .1.len() == 1 { "is" } else { "are" }
    )]
    Behind(Box<Receipt>, Vec<String>),
    /// What came could not be handed on.
    #[error("what the push API sent cannot be taken: {source}")]
    Output {
        /// Why not.
        source: io::Error,
    },
    /// An answer that is not the push API's.
    #[error(
        "{url} answered {status}, but not as the push API does: {excerpt:?}. Is it the control \
         listener?"
    )]
    Foreign {
        /// Where the client asked.
        url: String,
        /// The status of the answer.
        status: u16,
        /// How its body begins.
        excerpt: String,
    },
}

impl ClientError {
    /// Was the push API not reached, so that nothing is known of it?
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            ClientError::Connect { .. }
                | ClientError::Tls { .. }
                | ClientError::Timeout { .. }
                | ClientError::Broken { .. }
        )
    }

    /// Did the caller set it up wrongly, so that no call was made?
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            ClientError::Url { .. }
                | ClientError::Files(_)
                | ClientError::NoToken { .. }
                | ClientError::BadToken { .. }
        )
    }

    /// The HTTP status, if the push API refused the call.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused(problem) => Some(problem.status),
            _ => None,
        }
    }
}

/// What the caller can do about it.
fn remedy(failure: &Failure) -> &'static str {
    match failure {
        Failure::UnknownAuthority => ". Name its authority's certificate with --ca or HOSTLER_CA",
        Failure::OtherName(_) => ". Call it by one of these with --url or HOSTLER_URL",
        Failure::Ended(_) | Failure::NotYet(_) => {
            ". Renew the router's certificate (control.tls_cert), or set the clock of this machine"
        }
        Failure::WantsCertificate => {
            ". Give one with --client-cert and --client-key, or HOSTLER_CLIENT_CERT and \
             HOSTLER_CLIENT_KEY"
        }
        Failure::Refused(_) => {
            ". Give one of an authority that the router knows (control.tls_client_ca) with \
             --client-cert and --client-key"
        }
        Failure::NotTls => ". Call it with http://, if the network in between is yours alone",
        Failure::Version | Failure::Protocol | Failure::Other(_) => "",
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = &self.errors[..]
            && one.op.is_none()
            && one.line.is_none()
            && self.detail.ends_with(&one.reason)
        {
            return write!(f, "{}: {}", one.field, one.reason);
        }
        f.write_str(&self.detail)?;
        for error in &self.errors {
            f.write_str("\n  ")?;
            if let Some(op) = error.op {
                write!(f, "op {op}: ")?;
            }
            if let Some(line) = error.line {
                write!(f, "line {line}: ")?;
            }
            write!(f, "{}: {}", error.field, error.reason)?;
        }
        Ok(())
    }
}
