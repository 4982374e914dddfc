//! What the demo prints once all runs: where everything is, and lines to try.
//!
//! Invariants: below "Lines to try", every line that is indented by four blanks can be pasted into
//! a shell as it is, in the order in which they stand; none of them shows the token.

use std::fmt::Write;

use super::{
    apps::{APPS, Dyno, hosts},
    home::Home,
    router::Router,
};
use crate::api::access::ADMIN_TOKEN_FILE;

/// The host that the lines to try give to `hello` while it runs.
const NEW_HOST: &str = "greetings.test";

/// What is told of the demo.
pub(super) struct Guide<'a> {
    router: &'a Router,
    dynos: &'a [Dyno],
    data_dir: String,
    removed: bool,
    program: String,
}

impl<'a> Guide<'a> {
    /// A guide to what runs.
    pub(super) fn new(router: &'a Router, dynos: &'a [Dyno], home: &Home) -> Guide<'a> {
        let data_dir = home.path().to_string_lossy().into_owned();
        Guide { router, dynos, data_dir, removed: home.is_ours(), program: program() }
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut text = self.places();
        for (what, lines) in self.lines() {
            writeln!(text, "\n  {what}").expect("a String takes all");
            for line in lines {
                writeln!(text, "    {line}").expect("a String takes all");
            }
        }
        text.push_str(
            "\nCtrl-C ends all of it. Below is the router's log, a line an exchange.\n\n",
        );
        text
    }

    fn places(&self) -> String {
        let Guide { router, data_dir, .. } = self;
        let goes = if self.removed { ", which goes with the demo" } else { "" };
        let mut text = format!(
            "Hostler runs: a router, and two apps with their dynos.\n\n  \
             traffic   {http}\n  push API  {control}, for the token in admin.token\n  \
             data      {data_dir}{goes}\n  router    process {pid}\n",
            http = self.http(),
            control = self.control(),
            pid = router.pid,
        );
        for (app, _) in APPS {
            let urls = hosts(app).map(|host| format!("http://{host}:{}/", router.http.port()));
            writeln!(text, "\n  app {app}: {}", urls.join(", ")).expect("a String takes all");
            for dyno in self.dynos.iter().filter(|dyno| dyno.app == app) {
                let Dyno { name, addr, pid, .. } = dyno;
                writeln!(text, "    dyno {name} at {addr}, process {pid}")
                    .expect("a String takes all");
            }
        }
        text.push_str("\nLines to try in another terminal:\n");
        text
    }

    /// The lines, under what they show.
    fn lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let http = self.http();
        let control = self.control();
        let token = format!("{}/{ADMIN_TOKEN_FILE}", self.data_dir);
        let bearer = format!("-H \"Authorization: Bearer $(cat {})\"", quoted(&token));
        let json = "-H 'Content-Type: application/json' -d '{}'";
        let command = |words: &str| {
            let data_dir = quoted(&self.data_dir);
            format!("{} {words} --url {control} --data-dir {data_dir}", quoted(&self.program))
        };
        let route = format!("{control}/v1/apps/hello/routes/{NEW_HOST}");
        let by_name = |app: &str, path: &str| self.request(app, path);
        vec![
            (
                "A request finds its app by the host; the app's dynos share them:",
                vec![format!("curl -H 'Host: hello.test' {http}/"), by_name("hello", "/")],
            ),
            (
                "A slow answer, and an echo of what was sent:",
                vec![
                    by_name("hello", "/slow?ms=500"),
                    format!("{} -d 'ping'", by_name("hello", "/echo")),
                ],
            ),
            (
                "Server-sent events, passed on as they come (without ?count=3: for ever):",
                vec![by_name("clock", "/events?count=3").replacen("curl", "curl -N", 1)],
            ),
            (
                "Push a route: the next request already meets it:",
                vec![
                    format!("curl -X PUT {bearer} {json} {route}"),
                    format!("curl -H 'Host: {NEW_HOST}' {http}/"),
                    format!("curl {bearer} {control}/v1/apps/hello/dynos"),
                    format!("curl {bearer} {control}/v1/history"),
                ],
            ),
            (
                "The same with the command line; an app in maintenance answers 503:",
                vec![
                    command("apps"),
                    command("maintenance on hello"),
                    by_name("hello", "/").replacen("curl", "curl -i", 1),
                    command("maintenance off hello"),
                ],
            ),
            ("The metrics:", vec![format!("curl {bearer} {control}/metrics")]),
        ]
    }

    /// A request by a name that leads here by itself, where there is one.
    fn request(&self, app: &str, path: &str) -> String {
        let [named, local] = hosts(app);
        if self.router.is_localhost() {
            let url = format!("http://{local}:{}{path}", self.router.http.port());
            return format!("curl {}", quoted(&url));
        }
        format!("curl -H 'Host: {named}' {}", quoted(&format!("{}{path}", self.http())))
    }

    fn http(&self) -> String {
        format!("http://{}", self.router.http_for_clients())
    }

    fn control(&self) -> String {
        format!("http://{}", self.router.control_for_clients())
    }
}

/// This program as the shell finds it: by its name if that is how it was called, else by its path.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    match std::env::current_exe() {
        Ok(path) if called.contains('/') => path.to_string_lossy().into_owned(),
        _ => called,
    }
}

/// A word as a shell takes it, quoted where it must be.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("/tmp/a-b_c.d:1"), "/tmp/a-b_c.d:1");
        assert_eq!(quoted("http://a.test/?x=1"), "'http://a.test/?x=1'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn names_below_localhost_are_used_only_where_they_lead_to_the_router() {
        let requests = |http: &str| {
            let control = "127.0.0.1:9080".parse().unwrap();
            let router = Router { pid: 1, http: http.parse().unwrap(), control };
            let home = Home::new(Some("/nowhere".into())).unwrap();
            Guide::new(&router, &[], &home).text()
        };
        assert!(requests("[::]:8080").contains("    curl http://hello.localhost:8080/\n"));
        let elsewhere = requests("10.0.0.1:8080");
        assert!(!elsewhere.contains("curl http://hello.localhost"), "{elsewhere}");
        assert!(
            elsewhere.contains("curl -H 'Host: hello.test' 'http://10.0.0.1:8080/slow?ms=500'")
        );
    }
}
