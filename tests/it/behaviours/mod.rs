//! What is promised of messages, one fact a test: each is shown on fresh connections and on kept
//! ones, where an exchange went before on the same client's and the same dyno's connection.
//!
//! Reading order: `case` (what a fact is handed), `table` and `refused` (how facts are written
//! down), then the areas.

#[macro_use]
mod table;
#[macro_use]
mod refused;

mod case;

mod bodiless;
mod chunked;
mod connections;
mod early;
mod expect;
mod expect_end_to_end;
mod faults;
mod faults_app;
mod faults_client;
mod faults_dyno;
mod faults_head;
mod faults_limits;
mod faults_pages;
mod faults_router;
mod forwarding;
mod http10;
mod interim;
mod large;
mod leaving;
mod leaving_blocked;
mod leaving_half_close;
mod lengths;
mod limits;
mod limits_chunks;
mod loops;
mod loops_chain;
mod memory;
mod methods;
mod names;
mod pipelining;
mod refused_answers;
mod refused_chunks;
mod refused_heads;
mod retries;
mod retries_budget;
mod retries_kept;
mod status;
mod targets;
mod times;
mod times_idle;
mod times_kept;
mod times_rate;
mod upgrade;

use serde_json::json;

use crate::harness::{Answer, Conn, Head};
use case::{Case, GET, OK, Setup};
