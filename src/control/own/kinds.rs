//! The kinds of text that a setting may be.
//!
//! Invariant: a pattern is that of the reader beside it.

use super::Kind;
use crate::units::{
    self,
    checks::{self, MAX_CHECK},
    place,
};

/// Names that dynos prove themselves by.
pub const TLS_NAMES: Kind = Kind {
    what: "a name",
    pattern: units::TLS_NAME,
    most: units::MAX_TLS_NAME,
    example: "{app}.internal",
    read: units::tls_name,
};

/// Names of headers; an empty one is none.
pub const HEADER: Kind = Kind {
    what: "a name",
    pattern: units::HEADER,
    most: units::MAX_HEADER,
    example: "x-api-key",
    read: units::header,
};

/// Names of cookies.
pub const COOKIE_NAME: Kind = Kind {
    what: "a name",
    pattern: units::COOKIE_NAME,
    most: units::MAX_COOKIE_NAME,
    example: "hostler-affinity",
    read: units::cookie_name,
};

/// Paths of cookies.
pub const COOKIE_PATH: Kind = Kind {
    what: "a path",
    pattern: units::COOKIE_PATH,
    most: units::MAX_COOKIE_PATH,
    example: "/shop",
    read: units::cookie_path,
};

/// URLs of webhooks; an empty one is none.
pub const URL: Kind = Kind {
    what: "a URL",
    pattern: place::URL,
    most: place::MAX_URL,
    example: "https://platform.internal:8443/wake",
    read: place::url,
};

/// Shares of releases; none of them are told apart where there are none.
pub const RELEASES: Kind = Kind {
    what: "a name",
    pattern: units::RELEASES,
    most: units::MAX_RELEASES_TEXT,
    example: "v1=90,v2=10",
    read: units::releases,
};

/// What is asked for.
pub const PATH: Kind = Kind {
    what: "a path",
    pattern: checks::PATH,
    most: MAX_CHECK,
    example: "/healthz",
    read: checks::path,
};

/// As which host; empty is as the app's name.
pub const HOST: Kind = Kind {
    what: "a host",
    pattern: place::HOST,
    most: MAX_CHECK,
    example: "www.example.com",
    read: place::host,
};

/// Which answers are good.
pub const STATUSES: Kind = Kind {
    what: "a status, or the first and the last",
    pattern: checks::STATUSES,
    most: MAX_CHECK,
    example: "200-399",
    read: checks::statuses,
};

/// What a body must hold; empty is anything.
pub const EXCERPT: Kind = Kind {
    what: "a text",
    pattern: checks::EXCERPT,
    most: MAX_CHECK,
    example: "ok",
    read: checks::excerpt,
};

/// Which part of a gRPC server is asked about; empty is all of it.
pub const GRPC_NAME: Kind = Kind {
    what: "a name",
    pattern: checks::GRPC_NAME,
    most: MAX_CHECK,
    example: "shop.v1.Orders",
    read: checks::grpc_name,
};
