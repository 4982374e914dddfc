//! The behaviour of the built binary against real sockets, real dynos and real clients.
//!
//! Every test starts its own `hostler serve` on ports that the system chooses and ends it with the
//! test. Invariants: nothing sleeps, a wait is for a condition and has a deadline; a scripted side
//! controls every byte and every pause of its own, so that a test is about what is promised and not
//! about who was faster.

mod harness;

mod adaptive;
mod affinity;
mod algorithms;
mod balance;
mod behaviours;
mod capacity;
mod certs;
mod cli;
mod cli_generated;
mod conditions;
mod control_tls;
mod corners;
mod damage;
mod descriptors;
mod disk;
mod draining;
mod dyno_protocols;
mod dyno_tls;
mod expiry;
mod explain;
mod feed;
mod feed_software;
mod fleet;
mod flow;
mod grpc;
mod guards;
mod health;
mod health_checks;
mod hedging;
mod http2;
mod http2_attacks;
mod http2_clients;
mod http2_earnest;
mod http2_waiting;
mod https;
mod ill;
mod ill_storm;
mod keep_alive;
mod kills;
mod lasting;
mod limits;
mod openapi;
mod operation;
mod overload;
mod paths;
mod proxy_in;
mod push;
mod refusals;
mod routers;
mod routing;
mod sequences;
mod slow_readers;
mod sockets;
mod software;
mod stats;
mod store;
mod table_put;
mod tls_corners;
mod tokens;
mod travel;
mod upgrade;
mod upkeep;
mod waking;
