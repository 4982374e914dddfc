//! gRPC end to end: `grpcio` on both sides of the router.
//!
//! Invariant: what is asserted of the calls is asserted by the client, which prints `ok`; here
//! stands what the router says of them.

use hostler::error::Fault;
use serde_json::json;

use crate::harness::{
    Authority, Conn, Dyno, Program, Router, Tls, closed_port,
    program::{Talker, python, run, scripts},
};

fn start() -> (Router, Program) {
    let router = Router::with(&[("HOSTLER_HTTP_H2C", "true")]);
    let mut command = python();
    command.arg(scripts().join("dynos/grpc_server.py"));
    let dyno = Program::start(command);
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"dynos.protocol": "http2"}}));
    (router, dyno)
}

/// Runs the client's calls; they succeed.
fn client(router: &Router, what: &str) {
    let mut command = python();
    command.arg(scripts().join("clients/grpc_client.py"));
    command.args([&router.http.port().to_string(), "a.test", what]);
    assert_eq!(run(command), b"ok\n", "{what}");
}

#[test]
fn every_kind_of_call_passes_with_deadlines_cancellation_and_failures() {
    let (router, _dyno) = start();
    client(&router, "calls");
    let lines = router.log.wait_for_many("path=\"/test.Calls/Unary\"", 53);
    assert!(lines.iter().all(|line| line.contains("status=200 ")), "{lines:#?}");
    // One call was cancelled; that whose time was over may have been ended by its dyno, which knew
    // the deadline too. Nothing else went wrong.
    router.log.wait_for("path=\"/test.Calls/Hold\"");
    let given_up = router.log.find(|line| line.contains("code=H27") && line.contains("/Each"));
    assert!(given_up.is_some(), "{:#?}", router.log.all());
    let is_fault = |line: &&String| line.contains("code=") && !line.contains("code=H27");
    assert_eq!(router.log.all().iter().find(is_fault), None);
}

#[test]
fn streams_of_many_small_messages_are_no_flood() {
    let (router, _dyno) = start();
    client(&router, "small");
    let lines = router.log.wait_for_many("path=\"/test.Calls/", 3);
    assert!(lines.iter().all(|line| line.contains("status=200 ")), "{lines:#?}");
}

#[test]
fn a_call_for_which_no_dyno_is_there_is_unavailable() {
    let (router, _dyno) = start();
    router.set_state("one", "web.1", "crashed");
    client(&router, "gone");
    router.log.wait_for("code=H10");
    let refuses = closed_port();
    let settings = json!({"dynos.protocol": "http2", "dynos.max_attempts": 1});
    router.write("PATCH", "/v1/apps/one", json!({"settings": settings}));
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": refuses.addr}));
    client(&router, "gone");
    router.log.wait_for("code=H21");
    router.delete("/v1/apps/one/dynos/web.1");
    client(&router, "gone");
    router.log.wait_for("code=H14");
}

#[test]
fn every_kind_of_call_passes_inside_tls_on_both_sides() {
    let authority = Authority::new("dynos");
    let proof = authority.issue("one", &["one.internal"]);
    let ca = authority.ca();
    let tls = Tls::start(&[("HOSTLER_DYNOS_TLS", "true"), ("HOSTLER_DYNOS_TLS_CA", &ca)]);
    let mut command = python();
    command.arg(scripts().join("dynos/grpc_server.py"));
    command.env("KEY", &proof.key).env("CERT", &proof.cert);
    let dyno = Program::start(command);
    tls.router.app("one", "a.test", &[&dyno.addr]);
    tls.router.write("PATCH", "/v1/apps/one", json!({"settings": {"dynos.protocol": "http2"}}));
    let mut command = python();
    command.arg(scripts().join("clients/grpc_client.py"));
    command.args([&tls.addr.port().to_string(), "a.test", "calls", &tls.authority.ca()]);
    assert_eq!(run(command), b"ok\n");
    let lines = tls.router.log.wait_for_many("path=\"/test.Calls/Unary\"", 53);
    let inside = |line: &String| line.contains("status=200 ") && line.contains("tls=true");
    assert!(lines.iter().all(inside), "{lines:#?}");
    assert_eq!(tls.router.metric("hostler_dyno_certificate_failures_total"), 0.0);
}

/// Takes a call off a dyno of HTTP/1.1, which does with its connection what it likes.
fn taken(dyno: &Dyno) -> Conn {
    let mut conn = dyno.accept();
    conn.take_request();
    conn
}

const BEGUN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n\
                     Transfer-Encoding: chunked\r\n\r\n";

#[test]
fn every_fault_is_a_status_to_a_client() {
    let settings = [("HOSTLER_HTTP_H2C", "true"), ("HOSTLER_LIMITS_EXCHANGES", "1")];
    let (router, dyno) = (Router::with(&settings), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let times = json!({"timeouts.first_byte": "300ms", "timeouts.idle": "600ms"});
    router.write("PATCH", "/v1/apps/one", json!({"settings": times}));
    let mut command = python();
    command.arg(scripts().join("clients/grpc_client.py"));
    command.args([&router.http.port().to_string(), "a.test", "told"]);
    let mut client = Talker::start(command);
    type Script = fn(&mut Conn);
    let faults: [(Fault, Script); 6] = [
        (Fault::RequestTimeout, |_| ()),
        (Fault::ClosedWithoutResponse, |conn| conn.shut_write()),
        (Fault::IdleConnection, |conn| conn.send(BEGUN)),
        (Fault::BadResponse, |conn| conn.send("HTTP/1.1 x\r\n\r\n")),
        (Fault::ServerInterrupted, |conn| {
            conn.send([BEGUN, "3\r\nabc"].concat());
            conn.shut_write();
        }),
        (Fault::Overloaded, |_| ()),
    ];
    for (fault, script) in faults {
        let (code, mut held) = (fault.code(), None);
        if fault == Fault::Overloaded {
            // No more than this exchange may be carried.
            let settings = json!({"settings": {"timeouts.first_byte": "30s"}});
            router.write("PUT", "/v1/apps/one", settings);
            let mut client = router.connect();
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            held = Some((client, taken(&dyno)));
        }
        client.tell(code);
        let mut conn = held.is_none().then(|| taken(&dyno));
        conn.iter_mut().for_each(script);
        let line = client.says.wait_for(&format!("({code})"));
        assert_eq!(line, format!("UNAVAILABLE {} ({code})", fault.desc()));
        router.log.wait_for(&format!("code={code} "));
    }
}

/// No certificate that a client of gRPC takes for the host is one that the router does not, so that
/// another has to ask.
#[test]
fn a_host_that_the_certificate_does_not_cover_is_unknown_to_a_client() {
    let tls = Tls::start(&[]);
    tls.router.app("one", "b.test", &[]);
    let script = "import httpx, ssl, sys\n\
                  trust = ssl.create_default_context(cafile=sys.argv[2])\n\
                  client = httpx.Client(verify=trust, http1=False, http2=True, trust_env=False)\n\
                  fields = {'Host': 'b.test', 'Content-Type': 'application/grpc'}\n\
                  url = f'https://127.0.0.1:{sys.argv[1]}/test.Calls/Unary'\n\
                  name = {'sni_hostname': 'a.test'}\n\
                  answer = client.post(url, headers=fields, extensions=name)\n\
                  status, why = map(answer.headers.get, ['grpc-status', 'grpc-message'])\n\
                  print(answer.status_code, status, why)\n";
    let mut command = python();
    command.args(["-c", script, &tls.addr.port().to_string(), &tls.authority.ca()]);
    assert_eq!(run(command), b"200 2 Misdirected Request (H31)\n");
    tls.router.log.wait_for("code=H31");
}
