//! `hostler explain`: why a request would go where.
//!
//! Invariant: host, path and headers are passed on as typed; the push API alone judges them.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;

use super::{args::Api, failure::Failure, output};
use crate::api::{
    Client, ExplainBody, ExplainView,
    explain::{AffinityView, ConsideredView, FaultView, LimitView, OutcomeView, RuleView},
};

/// `hostler explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler explain http://www.blog.test/shop\n  \
                        hostler explain www.blog.test /shop --method POST")]
pub(super) struct Explain {
    /// What is asked for: http://www.blog.test/shop, www.blog.test/shop, or a host alone
    #[arg(value_name = "URL | HOST")]
    url_or_host: String,
    /// The path, behind a host
    path: Option<String>,
    /// The method [default: GET]
    #[arg(long)]
    method: Option<String>,
    /// A header of the request, for limits that look at one
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// The client's address, for limits per client
    #[arg(long, value_name = "IP")]
    client: Option<String>,
    #[command(flatten)]
    pub(super) api: Api,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

impl Explain {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let (host, path) = self.host_and_path()?;
        let headers: BTreeMap<_, _> = self.header.iter().cloned().collect();
        let (method, from) = (self.method.clone(), self.client.clone());
        let headers = Some(headers).filter(|headers| !headers.is_empty());
        let asked = ExplainBody { host, path, method, headers, client: from };
        let view = client.explain(&asked).await?;
        Ok(if self.api.json { output::json(&view) } else { told(&view) })
    }

    fn host_and_path(&self) -> Result<(String, Option<String>), Failure> {
        let lower = self.url_or_host.to_ascii_lowercase();
        let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
        let rest = &self.url_or_host[scheme.map_or(0, str::len)..];
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = match (path, &self.path) {
            ("", given) => given.clone(),
            (_, Some(_)) => return Err(Failure::Usage("the path is given twice".into())),
            (path, None) if path.starts_with('/') => Some(path.to_owned()),
            (path, None) => Some(format!("/{path}")),
        };
        Ok((host.to_owned(), path))
    }
}

/// The explanation for people.
fn told(view: &ExplainView) -> String {
    let (method, host, path) = (&view.method, &view.host, &view.path);
    let mut text = format!("{method} {host}{path} at revision {}\n\n", view.revision);
    let rules: Vec<_> = view.rules.iter().map(rule).collect();
    text += &output::table(["HOST", "PATH", "APP", "TAKES IT"], &rules);
    text += &omitted(view.rules_omitted, "rules before the last");
    if let Some(app) = &view.app {
        let states = [(app.maintenance, "maintenance"), (app.blank, "blank")];
        let states = states.into_iter().chain([(app.router, "router")]);
        let is_so: String =
            states.filter(|(is, _)| *is).map(|(_, state)| format!(", {state}")).collect();
        let (connections, in_flight) = (app.connections, app.in_flight);
        text += &format!(
            "\nApp {}{is_so}: {in_flight} in flight, {connections} connections\n",
            app.name
        );
        for (name, value) in &app.settings {
            let value = value.as_str().map_or_else(|| value.to_string(), Into::into);
            text += &format!("  {name}={value}\n");
        }
    }
    text += &view.affinity.iter().map(affinity).collect::<String>();
    if !view.limits.is_empty() {
        let limits: Vec<_> = view.limits.iter().map(limit).collect();
        text.push('\n');
        text += &output::table(["LIMIT", "MOST", "LEFT"], &limits);
    }
    if !view.dynos.is_empty() {
        let dynos: Vec<_> = view.dynos.iter().map(dyno).collect();
        text.push('\n');
        text +=
            &output::table(["DYNO", "ADDRESS", "WEIGHT", "IN FLIGHT", "LATENCY", "CHOICE"], &dynos);
        text += &omitted(view.dynos_omitted, "dynos");
    }
    text += &format!("\n{}\n", outcome(view));
    text.lines().map(|line| output::printable(line) + "\n").collect()
}

fn omitted(count: usize, what: &str) -> String {
    if count == 0 { String::new() } else { format!("and {count} more {what}\n") }
}

fn rule(rule: &RuleView) -> [String; 4] {
    let or = |text: &Option<String>, or: &str| text.clone().unwrap_or_else(|| or.into());
    let takes = if rule.matched { "yes" } else { "no" };
    [rule.host.clone(), or(&rule.path, "-"), or(&rule.app, "no route"), takes.into()]
}

fn affinity(affinity: &AffinityView) -> String {
    let AffinityView { cookie, verdict, dyno, passed_over } = affinity;
    let dyno = dyno.as_deref().unwrap_or("its dyno");
    let why = passed_over.as_deref().unwrap_or("passed over");
    let said = match verdict.as_str() {
        "returns" => format!("it returns to {dyno}"),
        "spared" => format!("{dyno} is {why}: this request goes to another"),
        "unfit" => format!("{dyno} is {why}: the client gets another"),
        "gone" => "its dyno is gone: the client gets another".into(),
        _ => "none that counts: the client gets one".into(),
    };
    format!("\nCookie {cookie}: {said}\n")
}

fn limit(limit: &LimitView) -> [String; 3] {
    let most = match limit.window_ms {
        Some(ms) => format!("{} in {:?}", limit.most, Duration::from_millis(ms)),
        None => format!("{} at a time", limit.most),
    };
    [limit.setting.clone(), most, limit.left.to_string()]
}

fn dyno(dyno: &ConsideredView) -> [String; 6] {
    let choice = match (dyno.passed_over.as_deref(), dyno.chance) {
        (Some("quarantined"), _) => {
            let left = Duration::from_millis(dyno.quarantined_for_ms);
            format!("quarantined for {left:?} more, {} failed connects", dyno.failed_connects)
        }
        (Some(why), _) => why.into(),
        (None, Some(chance)) => format!("{:.0}%", chance * 100.0),
        (None, None) => "candidate".into(),
    };
    let weight = match dyno.effective_weight.round() {
        0.0 => dyno.weight.to_string(),
        whole if whole == f64::from(dyno.weight) => dyno.weight.to_string(),
        part => format!("{part} of {}", dyno.weight),
    };
    let latency = dyno.latency_ms.map_or("-".into(), output::millis);
    let in_flight = dyno.in_flight.to_string();
    [dyno.name.clone(), dyno.addr.clone(), weight, in_flight, latency, choice]
}

fn outcome(view: &ExplainView) -> String {
    let fault =
        |fault: &FaultView| format!("{} {} ({})", fault.code, fault.description, fault.status);
    match &view.outcome {
        OutcomeView::Dyno { dyno: Some(dyno) } => format!("Goes to {dyno}"),
        OutcomeView::Dyno { dyno: None } => {
            format!("Goes to one of the candidates: {}", view.choice)
        }
        OutcomeView::Hold { at_most_ms, then } => {
            let at_most = Duration::from_millis(*at_most_ms);
            format!("Waits for a dyno, {at_most:?} at most, then {}", fault(then))
        }
        OutcomeView::Fault(then) => format!("Answered by the router: {}", fault(then)),
    }
}
