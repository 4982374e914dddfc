//! The settings as a whole: precedence, refusals, ranges, and the generated file.
//!
//! Invariant: nothing here reads the environment or the machine; sources are arguments.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{keys::KEYS, *};
use crate::{
    control, serve,
    telemetry::{Level, LogFormat},
};

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn read(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, Mistakes> {
    let machine = Machine { cores: 3, open_files: 20_256, memory: 1 << 30 };
    let (env, flags) = (pairs(env), pairs(flags));
    resolve(Sources { file: Some(("h.toml", file)), env: &env, flags: &flags, machine })
}

fn refused(file: &str, env: &[(&str, &str)]) -> String {
    read(file, env, &[]).expect_err("it must be refused").to_string()
}

fn from_line(command: clap::Command, args: &[&str]) -> Result<Settings, Mistakes> {
    let matches = command.get_matches_from(args);
    super::load::load_with(&matches, &[], Machine::default(), Vec::new())
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn without_sources_every_part_has_its_own_defaults() {
    let settings = resolve(Sources::default()).unwrap();
    let expected = serve::Settings {
        max_connections: Machine::default().connections(),
        max_pipes: Machine::default().pipes(Machine::default().connections()),
        max_exchanges: Machine::default().exchanges(),
        max_memory: Machine::default().memory_bound(),
        ..serve::Settings::default()
    };
    assert_eq!(settings.serve, expected);
    assert_eq!(settings.http_listen, [addr("[::]:8080")]);
    assert_eq!(settings.control_listen, [addr("127.0.0.1:9080")]);
    assert_eq!(settings.data_dir, PathBuf::from("./data"));
    assert_eq!((settings.access_log, settings.log_level), (LogFormat::Logfmt, Level::INFO));
    assert_eq!(settings.drain_deadline, Duration::from_secs(30));
    let api = control::api::Settings::default();
    let expected = ApiSettings {
        max_body: api.max_body,
        max_table: api.max_table,
        rate: api.rate,
        max_tokens: api.max_tokens,
        max_feeds: api.max_feeds,
        heartbeat: api.heartbeat,
        ..ApiSettings::default()
    };
    assert_eq!(settings.api, expected);
    assert_eq!(settings.hub.networks.len(), 2);
    let networks = settings.hub.networks.clone();
    assert_eq!(settings.hub, control::hub::Settings { networks, ..Default::default() });
}

/// Those that Heroku documents for its router, and ours where it names none.
#[test]
fn the_figures_are_the_documented_ones() {
    let serve::Settings { timeouts: t, limits: l, dynos: d, .. } = serve::Settings::default();
    let times = [
        (t.connect, 5),
        (t.connect_total, 75),
        (t.first_byte, 30),
        (t.idle, 55),
        (t.request_head, 30),
        (t.keep_alive, 60),
        (t.pool_idle, 90),
        (d.quarantine, 5),
    ];
    for (time, seconds) in times {
        assert_eq!(time, Duration::from_secs(seconds), "{times:?}");
    }
    let of_requests =
        [l.method, l.request_line, l.header_name, l.header_value, l.header_count, l.request_head];
    assert_eq!(of_requests, [127, 8192, 1000, 8192, 1000, 65_536]);
    let of_answers = [l.status_line, l.set_cookie, l.response_header, l.response_head];
    assert_eq!(of_answers, [8192, 8192, 524_288, 1_048_576]);
    assert_eq!((l.app_connections, l.min_body_rate, l.in_flight), (0, 0, 0));
    assert_eq!((d.max_attempts, d.retry_budget), (10, 20));
    assert_eq!((d.max_in_flight, d.max_requests, d.keep_alive), (0, 0, true));
    let s = serve::Settings::default();
    assert_eq!((s.max_passes, s.end_to_end_continue, s.half_close), (5, false, false));
}

#[test]
fn what_is_left_to_the_machine_follows_from_it() {
    let settings = read("", &[], &[]).unwrap();
    assert_eq!((settings.workers, settings.serve.max_connections), (3, 8000));
}

#[test]
fn the_environment_wins_over_the_file_and_a_flag_over_both() {
    let file = "workers = 2\n[http]\nvia = \"file\"\n[timeouts]\nidle = \"1m\"\n";
    let env = [("HOSTLER_WORKERS", "5"), ("HOSTLER_HTTP_VIA", "env")];
    let settings = read(file, &env, &[("http.via", "flag")]).unwrap();
    assert_eq!(settings.serve.timeouts.idle, Duration::from_secs(60));
    assert_eq!((settings.workers, settings.serve.via.as_str()), (5, "flag"));
    let stated: Vec<String> = settings.stated.iter().map(Stated::to_string).collect();
    for line in [
        "workers = 5 (HOSTLER_WORKERS)",
        "http.via = flag (--http-via)",
        "timeouts.idle = 1m (h.toml, line 5)",
    ] {
        assert!(stated.iter().any(|stated| stated == line), "{line} is not among {stated:#?}");
    }
}

#[test]
fn every_setting_of_an_exchange_goes_to_its_place() {
    let file = "
        [http]\nmax_passes = 9\nend_to_end_continue = true\nhalf_close = true
        [dynos]\nkeep_alive = false\nmax_requests = 2\nmax_in_flight = 3\nretry_budget = 4
        adaptive = true\nhedge_after = \"7s\"
        max_attempts = 5\nquarantine = \"6s\"\nprotocol = \"http2\"\ntls = true
        tls_name = \"x.test\"\ntls_ca = \"ca.pem\"\nproxy_protocol = \"v2\"
        [limits]\nmethod = 71\nrequest_line = 72\nheader_name = 73\nheader_value = 74
        header_count = 75\nrequest_head = 76\nstatus_line = 77\nset_cookie = 78
        response_header = 79\nresponse_head = 80\nmin_body_rate = 81
        app_connections = 82\nin_flight = 83
        [queue]\nmax = 90\ntimeout = \"91s\"\nlifo_after = \"92s\"\npaused = true
        [wake]\nurl = \"http://a.test/b\"\ntimeout = \"93s\"
        [timeouts]\nconnect = \"10s\"\nconnect_total = \"11s\"\nfirst_byte = \"12s\"
        idle = \"13s\"\nrequest_head = \"14s\"\nkeep_alive = \"15s\"\npool_idle = \"16s\"\n";
    let s = read(file, &[], &[]).unwrap().serve;
    assert_eq!((s.max_passes, s.end_to_end_continue, s.half_close), (9, true, true));
    let dynos = serve::settings::Dynos {
        keep_alive: false,
        max_requests: 2,
        max_in_flight: 3,
        adaptive: true,
        retry_budget: 4,
        hedge_after: Duration::from_secs(7),
        protocol: serve::settings::DynoProtocol::Http2,
        tls: true,
        tls_name: "x.test".into(),
        proxy_protocol: serve::settings::ProxyHeader::V2,
        max_attempts: 5,
        quarantine: Duration::from_secs(6),
    };
    assert_eq!((s.dynos, s.dynos_ca), (dynos, Some("ca.pem".into())));
    let l = s.limits;
    let of_requests =
        [l.method, l.request_line, l.header_name, l.header_value, l.header_count, l.request_head];
    assert_eq!(of_requests, [71, 72, 73, 74, 75, 76]);
    let of_answers = [l.status_line, l.set_cookie, l.response_header, l.response_head];
    assert_eq!(of_answers, [77, 78, 79, 80]);
    assert_eq!((l.min_body_rate, l.app_connections, l.in_flight), (81, 82, 83));
    let seconds = Duration::from_secs;
    let queue = serve::settings::Queue {
        max: 90,
        timeout: seconds(91),
        lifo_after: seconds(92),
        paused: true,
    };
    let wake = serve::settings::Wake { url: "http://a.test/b".into(), timeout: seconds(93) };
    assert_eq!((s.queue, s.wake), (queue, wake));
    let t = s.timeouts;
    let times = [
        t.connect,
        t.connect_total,
        t.first_byte,
        t.idle,
        t.request_head,
        t.keep_alive,
        t.pool_idle,
    ];
    assert_eq!(times.map(|time| time.as_secs()), [10, 11, 12, 13, 14, 15, 16]);
}

#[test]
fn port_says_where_to_listen_unless_environment_or_flag_do() {
    let file = "[http]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n";
    assert_eq!(read(file, &[], &[]).unwrap().http_listen, [addr("127.0.0.1:1"), addr("[::1]:2")]);
    let port = ("PORT", "5000");
    assert_eq!(read(file, &[port], &[]).unwrap().http_listen, [addr("[::]:5000")]);
    let own = ("HOSTLER_HTTP_LISTEN", "127.0.0.1:3");
    assert_eq!(read(file, &[port, own], &[]).unwrap().http_listen, [addr("127.0.0.1:3")]);
    let flag = [("http.listen", "127.0.0.1:4, [::1]:4")];
    let settings = read(file, &[port, own], &flag).unwrap();
    assert_eq!(settings.http_listen, [addr("127.0.0.1:4"), addr("[::1]:4")]);
}

#[test]
fn all_mistakes_are_told_at_once_with_source_and_remedy() {
    let file = "[http]\nlisen = \"x\"\n[timeouts]\nconnect = \"0s\"\n";
    let env = [("HOSTLER_WORKRES", "1"), ("HOSTLER_WORKERS", "none"), ("HOSTLER_ACCESS_LOG", "x")];
    let text = refused(file, &env);
    for line in [
        "5 mistakes in the settings:",
        "  h.toml, line 2: http.lisen: there is no such setting; did you mean http.listen?",
        "  HOSTLER_WORKRES: there is no such setting; did you mean HOSTLER_WORKERS?",
        "  HOSTLER_WORKERS: workers: \"none\" is not a whole number; \
         write a whole number from 1 to 1024",
        "  HOSTLER_ACCESS_LOG: access_log: \"x\" is not known; write one of logfmt, json, off",
        "  h.toml, line 4: timeouts.connect: 0s is out of range; \
         write a whole number and ms, s, m or h, from 1ms to 24h",
    ] {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in:\n{text}");
    }
}

#[test]
fn the_syntax_of_the_file_is_checked_with_its_line() {
    let text = refused("workers = 2\nvia = \n", &[]);
    assert!(text.contains("h.toml, line 2: "), "{text}");
}

#[test]
fn unknown_groups_and_kinds_of_values_are_refused() {
    assert!(refused("[htpp]\n", &[]).contains("line 1: htpp: there is no such setting"));
    assert!(refused("[workers]\nx = 1\n", &[]).contains("workers.x: there is no such setting"));
    assert!(refused("\"http.via\" = \"x\"\n", &[]).contains("http.via: there is no such setting"));
    assert!(refused("workers = 1.5\n", &[]).contains("workers: a value of this kind (float)"));
    assert!(refused("http = 1\n", &[]).contains("http: there is no such setting"));
}

#[test]
fn variables_of_others_are_left_alone() {
    let env = [
        ("HOSTLER_URL", "http://127.0.0.1:9080"),
        ("HOSTLER_TOKEN", "t"),
        ("HOSTLER_CONFIG", "h.toml"),
        ("HOSTLER_SERVICE_HOST", "10.0.0.1"),
        ("HOSTLER_SERVICE_PORT_HTTP", "80"),
        ("HOSTLER_PORT", "tcp://10.0.0.1:80"),
        ("HOSTLER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HOME", "/root"),
    ];
    assert!(read("", &env, &[]).is_ok());
    assert!(refused("", &[("HOSTLER_PORT", "80")]).contains("HOSTLER_PORT: there is no such"));
}

#[test]
fn plain_text_control_off_loopback_has_to_be_asked_for() {
    let public = ("HOSTLER_CONTROL_LISTEN", "127.0.0.1:1,0.0.0.0:9080");
    let text = refused("", &[public]);
    assert!(text.contains("control.listen: 0.0.0.0:9080 is off loopback"), "{text}");
    assert!(text.contains("HOSTLER_CONTROL_PLAINTEXT_OFF_LOOPBACK"), "{text}");
    let asked = ("HOSTLER_CONTROL_PLAINTEXT_OFF_LOOPBACK", "true");
    assert!(read("", &[public, asked], &[]).unwrap().api.plaintext_off_loopback);
    for loopback in ["[::1]:9", "127.1.2.3:9", "[::ffff:127.0.0.1]:9"] {
        assert!(read("", &[("HOSTLER_CONTROL_LISTEN", loopback)], &[]).is_ok());
    }
}

#[test]
fn two_listeners_on_one_address_are_refused() {
    for control in ["127.0.0.1:8080", "[::1]:8080"] {
        let text = refused("", &[("HOSTLER_CONTROL_LISTEN", control)]);
        assert!(text.contains("is taken by http.listen too; give one of them another"), "{text}");
    }
    let apart = [("HOSTLER_CONTROL_LISTEN", "[::1]:1"), ("HOSTLER_HTTP_LISTEN", "0.0.0.0:1")];
    assert!(read("", &apart, &[]).is_ok());
    let free = [("HOSTLER_CONTROL_LISTEN", "127.0.0.1:0"), ("HOSTLER_HTTP_LISTEN", "127.0.0.1:0")];
    assert!(read("", &free, &[]).is_ok());
}

#[test]
fn every_open_file_is_a_connections_a_dynos_a_pipes_or_kept_back() {
    for open_files in [64, 256, 1024, 20_256, 1 << 20, usize::MAX] {
        let machine = Machine { open_files, ..Machine::default() };
        let (connections, pipes) = (machine.connections(), machine.pipes(machine.connections()));
        assert!(pipes >= 1 && connections >= pipes, "{open_files}: {connections} {pipes}");
        let used = connections.saturating_mul(2).saturating_add(pipes.saturating_mul(2));
        assert!(used <= open_files - (open_files / 4).min(256), "{open_files}");
        assert_eq!(machine.pipes(open_files), 0);
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (file, what) in [
        ("[limits]\nrequest_head = \"4KiB\"", "limits.request_head: limits.request_line is 8192"),
        ("[limits]\nset_cookie = \"2MiB\"", "limits.set_cookie: limits.set_cookie is 2097152"),
        ("[timeouts]\nconnect = \"2m\"", "timeouts.connect is 2m, timeouts.connect_total only"),
        ("[dynos]\nhedge_after = \"31s\"", "dynos.hedge_after is 31s, timeouts.first_byte only"),
        ("[balance]\nkey = \"cookie\"", "balance.key: no cookie is named; name it in"),
        ("[drain]\ngrace = \"31s\"", "drain.grace is 31s, drain.deadline only 30s; lower"),
        ("[http]\nmax_connections = 30000", "need more than the 20256 open files"),
        (
            "[limits]\nclients = 100000\nmemory = \"16MiB\"",
            "limits.clients: they may take 9600000 bytes, more than half of limits.memory",
        ),
    ] {
        let text = refused(file, &[]);
        assert!(text.contains(what), "{what} is not in:\n{text}");
    }
}

#[test]
fn a_check_between_settings_is_silent_where_one_could_not_be_read() {
    let text = refused("[timeouts]\nconnect = \"2m\"\nconnect_total = \"x\"", &[]);
    assert!(text.starts_with("a mistake in the settings:") && text.contains("\"x\" is not a"));
}

#[test]
fn a_secret_is_shown_nowhere() {
    const SECRET: &str = "0123456789abcdefXYZ";
    let settings = read("", &[("HOSTLER_ADMIN_TOKEN", SECRET)], &[]).unwrap();
    assert_eq!(settings.api.admin_token.as_deref(), Some(SECRET));
    assert!(!format!("{settings:?}").contains(SECRET));
    let text = refused("", &[("HOSTLER_ADMIN_TOKEN", "short-secret")]);
    assert!(text.contains("admin_token: the token is too short") && !text.contains("short-secret"));
    assert!(flags().iter().all(|flag| flag.get_id() != "admin_token"));
    let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let settings = read("", &[("HOSTLER_STORE_KEY", key)], &[]).unwrap();
    assert!(settings.hub.store_key.is_some() && !format!("{settings:?}").contains("112233"));
    let text = refused("", &[("HOSTLER_STORE_KEY", &key[2..])]);
    assert!(text.contains("store.key: it is not 32 bytes") && !text.contains("112233"), "{text}");
    assert!(flags().iter().all(|flag| flag.get_id() != "store.key"));
}

#[test]
fn values_are_read_with_their_units_and_bounds() {
    for (key, value, right) in [
        ("timeouts.idle", "250ms", true),
        ("timeouts.idle", "2m", true),
        ("timeouts.idle", "5", false),
        ("timeouts.idle", "-5s", false),
        ("timeouts.idle", "99999999999999999999h", false),
        ("timeouts.idle", "25h", false),
        ("limits.header_value", "64KiB", true),
        ("limits.header_value", "65536", true),
        ("limits.header_value", "8KB", false),
        ("limits.header_value", "63", false),
        ("workers", "1024", true),
        ("workers", "0", false),
        ("workers", "1025", false),
        ("dynos.max_attempts", "0", false),
        ("dynos.max_attempts", "4294967297", false),
        ("dynos.max_requests", "0", true),
        ("dynos.max_in_flight", "1000000", true),
        ("dynos.max_in_flight", "1000001", false),
        ("dynos.retry_budget", "100", true),
        ("dynos.retry_budget", "101", false),
        ("dynos.keep_alive", "false", true),
        ("limits.header_count", "1000", true),
        ("limits.header_count", "1001", false),
        ("limits.header_count", "0", false),
        ("limits.method", "7", true),
        ("limits.method", "6", false),
        ("limits.min_body_rate", "0", true),
        ("limits.min_body_rate", "1KiB", true),
        ("http.max_passes", "0", false),
        ("http.max_passes", "100", true),
        ("http.half_close", "1", false),
        ("dynos.networks", "10.0.0.0/8,fd00::/8,192.0.2.1", true),
        ("dynos.networks", "10.0.0.1/8", false),
        ("dynos.networks", "10.0.0.0/33", false),
        ("dynos.socket_dirs", "/run/dynos", true),
        ("dynos.socket_dirs", "run", false),
        ("dynos.socket_dirs", "/run/../etc", false),
        ("http.via", "router-1", true),
        ("http.via", "a b", false),
        ("http.listen", "", false),
        ("http.listen", "localhost:80", false),
        ("http.listen", "127.0.0.1:80,127.0.0.1:80", false),
        ("data_dir", "", false),
        ("control.metrics_without_token", "yes", false),
    ] {
        assert_eq!(read("", &[], &[(key, value)]).is_ok(), right, "{key} = {value:?}");
    }
}

#[test]
fn names_in_environment_and_flags_are_unique() {
    let mut names: Vec<String> =
        KEYS.iter().flat_map(|k| [Some(k.env()), k.flag()]).flatten().collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn flags_are_read_by_the_command_line() {
    let command = clap::Command::new("hostler").args(flags());
    command.clone().debug_assert();
    let args = ["hostler", "--workers", "4", "--control-metrics-without-token"];
    let settings = from_line(command, &args).unwrap();
    assert_eq!((settings.workers, settings.api.metrics_without_token), (4, true));
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_of_who_named_it() {
    let command = clap::Command::new("hostler").args(flags());
    let args = ["hostler", "--config", "/nonexistent/h.toml"];
    let text = from_line(command, &args).unwrap_err().to_string();
    assert!(text.contains("--config: /nonexistent/h.toml cannot be read"), "{text}");
}

#[test]
fn the_generated_file_says_the_same_as_no_file() {
    let generated = default_toml();
    let in_force = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: String = generated.lines().map(|line| in_force(line) + "\n").collect();
    let (mut with, mut without) = (read(&text, &[], &[]).unwrap(), read("", &[], &[]).unwrap());
    assert_eq!(with.stated.len(), KEYS.len());
    assert!(with.stated.iter().all(|stated| stated.source != Source::Default));
    (with.stated, without.stated) = (Vec::new(), Vec::new());
    assert_eq!(with, without);
}

#[test]
fn the_committed_file_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml");
    if std::env::var_os("UPDATE_DEFAULT_TOML").is_some() {
        std::fs::write(path, default_toml()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == default_toml(), "config/default.toml is old: run `make config`");
}
