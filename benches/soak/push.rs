//! Pushes at a steady rate: dynos and routes that come and go, settings, maintenance, whole apps.
//!
//! Invariants: each pusher has objects of its own, so that none waits for another and every write
//! must be accepted; two dynos of `CHURN` are nobody's, so that the app is never without any.

use std::{
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use hostler::api::{Client, ClientError};
use serde_json::json;

use crate::{
    apps::{CHURN, COMING, DOOR, app_of, dyno_body},
    client::Ground,
};

/// Pushes a second, of all pushers.
pub const RATE: u32 = 100;
/// How many push side by side.
pub const PUSHERS: usize = 16;

/// One pusher, on its own objects.
pub struct Pusher {
    /// Which of the pushers it is.
    pub at: usize,
    /// The push API.
    pub api: Client,
    /// Where the dynos that come and go are.
    pub addrs: Rc<Vec<SocketAddr>>,
    /// What says when to end.
    pub ground: Rc<Ground>,
}

impl Pusher {
    /// Pushes until it is told to end; answers how many pushes were made.
    pub async fn run(self) -> u64 {
        let step = Duration::from_secs(1) * PUSHERS as u32 / RATE;
        let began = Instant::now() + step * self.at as u32 / PUSHERS as u32;
        let mut count: u32 = 0;
        while !self.ground.stopping.get() {
            tokio::time::sleep_until((began + step * count).into()).await;
            if let Err(error) = self.push(count).await {
                let what = format!("push {count} of pusher {} was refused: {error}", self.at);
                self.ground.ledger.fail(what);
            }
            count += 1;
        }
        u64::from(count)
    }

    async fn push(&self, turn: u32) -> Result<(), ClientError> {
        let api = &self.api;
        let churn = app_of(CHURN);
        match self.at {
            at if at < COMING => self.dyno(churn, at, turn).await,
            at if at < COMING + 4 => {
                let host = format!("r{}.{CHURN}", at - COMING);
                match turn % 2 {
                    0 => api.put_route(churn, &host, None).await.map(drop),
                    _ => api.delete_route(churn, &host, None).await.map(drop),
                }
            }
            10 => {
                let body = json!({"maintenance": turn.is_multiple_of(2)});
                api.patch_app(app_of(DOOR), &body).await.map(drop)
            }
            11..14 => self.settings(churn, turn).await,
            at => self.whole_app(&format!("app-{at}"), turn).await,
        }
    }

    /// A dyno comes, drains, comes back as another release, and goes.
    async fn dyno(&self, app: &str, at: usize, turn: u32) -> Result<(), ClientError> {
        let name = format!("come.{at}");
        let mut body = dyno_body(self.addrs[at]);
        match turn % 4 {
            0 => self.api.put_dyno(app, &name, &body).await.map(drop),
            1 => self.api.patch_dyno(app, &name, &json!({"state": "draining"})).await.map(drop),
            2 => {
                body.release = format!("v{turn}");
                self.api.put_dyno(app, &name, &body).await.map(drop)
            }
            _ => self.api.delete_dyno(app, &name).await.map(drop),
        }
    }

    /// Settings that change nothing about what a good request comes to.
    async fn settings(&self, app: &str, turn: u32) -> Result<(), ClientError> {
        let (name, value) = match self.at {
            11 => ("dynos.max_requests", json!(5)),
            12 => ("dynos.keep_alive", json!(false)),
            _ => ("timeouts.first_byte", json!("20s")),
        };
        let value = if turn.is_multiple_of(2) { value } else { json!(null) };
        self.api.patch_app(app, &json!({"settings": {name: value}})).await.map(drop)
    }

    async fn whole_app(&self, app: &str, turn: u32) -> Result<(), ClientError> {
        match turn % 4 {
            0 => self.api.put_app(app, &Default::default()).await.map(drop),
            1 => self.api.put_route(app, &format!("{app}.test"), Some("/x")).await.map(drop),
            2 => self.api.put_dyno(app, "web.1", &dyno_body(self.addrs[0])).await.map(drop),
            _ => self.api.delete_app(app).await.map(drop),
        }
    }
}
