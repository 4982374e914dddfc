//! The dynos: each server as its documentation starts it, with an app of `tests/software/dynos`.

use std::process::Command;

use crate::harness::{
    Program,
    program::{node, python, scripts},
};

/// A server that runs a dyno's app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    GunicornSync,
    GunicornThreads,
    Uvicorn,
    Puma,
    Node,
    Express,
}

impl Server {
    /// What its dyno can do beyond what all can.
    pub fn features(self) -> &'static str {
        match self {
            Server::Node | Server::Express => "trailers",
            _ => "",
        }
    }

    /// Starts a dyno.
    pub fn start(self) -> Program {
        Program::start(match self {
            Server::GunicornSync => gunicorn(&["--worker-class", "sync"]),
            Server::GunicornThreads => {
                gunicorn(&["--worker-class", "gthread", "--threads", "8", "--keep-alive", "2"])
            }
            Server::Uvicorn => module("uvicorn", &["--port", "0", "--http", "h11", "asgi:app"]),
            Server::Puma => {
                let mut command = Command::new("puma");
                // No configuration but this line.
                let arguments = ["-C", "-", "-e", "production", "-b", "tcp://127.0.0.1:0"];
                command.args(arguments).args(["-t", "8:8"]);
                command.arg(scripts().join("dynos/config.ru"));
                command
            }
            Server::Node => script("node.mjs"),
            Server::Express => script("express.mjs"),
        })
    }
}

fn gunicorn(arguments: &[&str]) -> Command {
    module("gunicorn", &[&["--bind", "127.0.0.1:0"], arguments, &["wsgi:app"]].concat())
}

fn module(name: &str, arguments: &[&str]) -> Command {
    let mut command = python();
    command.current_dir(scripts().join("dynos")).args(["-m", name]).args(arguments);
    command
}

fn script(name: &str) -> Command {
    let mut command = node();
    command.arg(scripts().join("dynos").join(name));
    command
}
