//! How the rivals that others make are set up: a template each, in `rivals/`, with the reason for
//! each line, filled in with the run's addresses and files.
//!
//! Invariants: one worker each; the templates hold every setting, this file only what is repeated
//! for each app or known at run time.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::failure::{During, Failure};
use crate::proxies::{APPS, Doors, Ground, UNEVEN};
use crate::rival::Rival;

/// Descriptors that a proxy needs besides its connections.
const SPARE_FILES: u64 = 200;

/// Pipes that HAProxy may splice through, two descriptors each.
const PIPES: u64 = 64;

/// Its settings for that.
const SPLICE: &str = "option splice-response\n    option splice-request";

/// How a program is started.
pub struct Setup {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Added to its environment.
    pub environment: &'static [(&'static str, &'static str)],
    /// Is its standard output the access log?
    pub logs_to_stdout: bool,
}

/// A word of a template, and what stands in its place.
type Value = (&'static str, String);

/// One thread for the code of a program in Go; its garbage collector comes to the same core.
const ONE_THREAD: &[(&str, &str)] = &[("GOMAXPROCS", "1")];

/// Writes a rival's files, and says how to start it.
pub fn set_up(
    rival: Rival,
    dir: &Path,
    doors: &Doors,
    ground: &Ground,
    log: &Path,
) -> Result<Setup, Failure> {
    let mut values = known(dir, doors, ground, log);
    let write =
        |name: &str, template: &str, values: &[_]| write_filled(&dir.join(name), template, values);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let mut setup = Setup { arguments: Vec::new(), environment: &[], logs_to_stdout: false };
    match rival {
        Rival::Relay | Rival::Hostler => unreachable!("they are started in other ways"),
        Rival::Nginx => {
            values.push(("@APPS@", nginx_apps(doors, ground)));
            values.push(("@FILES@", ground.open_files.to_string()));
            values.push(("@CONNECTIONS@", (ground.open_files - SPARE_FILES).to_string()));
            let conf = write("nginx.conf", include_str!("rivals/nginx.conf.in"), &values)?;
            let dir = dir.display().to_string();
            setup.arguments = words(&["-p", &dir, "-c", &conf, "-e", "stderr"]);
        }
        Rival::Haproxy | Rival::HaproxySplice | Rival::HaproxyRandom => {
            let (map, apps) = haproxy_apps(rival, ground);
            values.push(("@HOSTS@", write("hosts.map", &map, &[])?));
            values.push(("@APPS@", apps));
            let splice = if rival == Rival::HaproxySplice { SPLICE } else { "" };
            values.push(("@SPLICE@", splice.to_owned()));
            let connections = (ground.open_files - SPARE_FILES - 2 * PIPES) / 2;
            values.push(("@CONNECTIONS@", connections.to_string()));
            values.push(("@PIPES@", PIPES.to_string()));
            let conf = write("haproxy.cfg", include_str!("rivals/haproxy.cfg.in"), &values)?;
            (setup.arguments, setup.logs_to_stdout) = (words(&["-db", "-f", &conf]), true);
        }
        Rival::Envoy => {
            let (hosts, clusters) = envoy_apps(ground);
            values.push(("@APPS@", hosts));
            values.push(("@CLUSTERS@", clusters));
            let conf = write("envoy.yaml", include_str!("rivals/envoy.yaml.in"), &values)?;
            setup.arguments = words(&["--config-path", &conf, "--concurrency", "1"]);
            // Nothing is shared with another Envoy; the log is written out as often as nginx's.
            setup.arguments.extend(words(&["--disable-hot-restart", "--log-level", "error"]));
            setup.arguments.extend(words(&["--file-flush-interval-msec", "100"]));
        }
        Rival::Traefik => {
            values.push(("@APPS@", traefik_apps(ground)));
            let routes = include_str!("rivals/traefik-routes.yaml.in");
            values.push(("@ROUTES@", write("routes.yaml", routes, &values)?));
            let conf = write("traefik.yaml", include_str!("rivals/traefik.yaml.in"), &values)?;
            (setup.arguments, setup.environment) =
                (vec![format!("--configFile={conf}")], ONE_THREAD);
        }
        Rival::Caddy => {
            values.push(("@APPS@", caddy_apps(doors, ground)));
            let conf = write("Caddyfile", include_str!("rivals/Caddyfile.in"), &values)?;
            setup.arguments = words(&["run", "--adapter", "caddyfile", "--config", &conf]);
            setup.environment = ONE_THREAD;
        }
    }
    Ok(setup)
}

/// What every template may name.
fn known(dir: &Path, doors: &Doors, ground: &Ground, log: &Path) -> Vec<Value> {
    let certificate = &ground.certificate;
    vec![
        ("@PLAIN@", doors.plain.to_string()),
        ("@TLS@", doors.tls.to_string()),
        ("@H2@", doors.h2.to_string()),
        ("@PLAIN_PORT@", doors.plain.port().to_string()),
        ("@TLS_PORT@", doors.tls.port().to_string()),
        ("@H2_PORT@", doors.h2.port().to_string()),
        ("@LOG@", log.display().to_string()),
        ("@DIR@", dir.display().to_string()),
        ("@CHAIN@", certificate.chain.display().to_string()),
        ("@KEY@", certificate.key.display().to_string()),
        ("@BOTH@", certificate.both.display().to_string()),
    ]
}

/// Writes a template with its words filled in; the path as text.
fn write_filled(path: &Path, template: &str, values: &[Value]) -> Result<String, Failure> {
    let text =
        values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(key, value));
    let path_text = path.display().to_string();
    fs::write(path, text).during(&path_text).map(|()| path_text)
}

fn nginx_apps(doors: &Doors, ground: &Ground) -> String {
    let mut apps = String::new();
    let even = APPS.map(|app| (app, "", &ground.dynos));
    let uneven = (UNEVEN, "        least_conn;\n", &ground.uneven);
    for ((app, host), choice, dynos) in even.into_iter().chain([uneven]) {
        apps += &format!("    upstream {app} {{\n{choice}");
        dynos.iter().for_each(|dyno| apps += &format!("        server {dyno};\n"));
        // As many as exchanges can be at a time: those beyond would be closed after each.
        apps += "        keepalive 512;\n        keepalive_requests 1000000000;\n    }\n";
        apps += &format!(
            "    server {{\n        listen {};\n        listen {} ssl http2;\n        \
             listen {} http2;\n        server_name {host};\n        \
             location / {{ proxy_pass http://{app}; }}\n    }}\n",
            doors.plain, doors.tls, doors.h2
        );
    }
    apps
}

fn haproxy_apps(rival: Rival, ground: &Ground) -> (String, String) {
    let (mut map, mut apps) = (String::new(), String::new());
    let even = APPS.map(|app| (app, "", &ground.dynos));
    let choice = match rival {
        Rival::HaproxyRandom => "    balance random(2)\n",
        _ => "    balance leastconn\n",
    };
    for ((app, host), choice, dynos) in even.into_iter().chain([(UNEVEN, choice, &ground.uneven)]) {
        map += &format!("{host} {app}\n");
        apps += &format!("backend {app}\n{choice}");
        for (index, dyno) in dynos.iter().enumerate() {
            apps += &format!("    server web.{} {dyno}\n", index + 1);
        }
    }
    (map, apps)
}

fn envoy_apps(ground: &Ground) -> (String, String) {
    let (mut hosts, mut clusters) = (String::new(), String::new());
    for (app, host) in APPS {
        hosts += &format!(
            "              - name: {app}\n                domains: [\"{host}\", \"{host}:*\"]\n\
             \x20               routes:\n                - match: {{ prefix: / }}\n\
             \x20                 route: {{ cluster: {app}, timeout: 0s, \
             retry_policy: {{ retry_on: connect-failure, num_retries: 1 }} }}\n"
        );
        clusters += &format!(
            "  - name: {app}\n    connect_timeout: 5s\n    type: STATIC\n    load_assignment:\n\
             \x20     cluster_name: {app}\n      endpoints:\n      - lb_endpoints:\n"
        );
        for dyno in &ground.dynos {
            clusters += &format!(
                "        - endpoint: {{ address: {{ socket_address: \
                 {{ address: {}, port_value: {} }} }} }}\n",
                dyno.ip(),
                dyno.port()
            );
        }
    }
    (hosts, clusters)
}

fn traefik_apps(ground: &Ground) -> String {
    let (mut routers, mut services) = (String::new(), String::new());
    for (app, host) in APPS {
        for (door, tls) in [("plain", ""), ("tls", "      tls: {}\n"), ("h2", "")] {
            routers += &format!(
                "    {app}-{door}:\n      entryPoints: [{door}]\n      rule: Host(`{host}`)\n      \
                 service: {app}\n      middlewares: [forward-{door}, again]\n{tls}"
            );
        }
        services += &format!("    {app}:\n      loadBalancer:\n        servers:\n");
        for dyno in &ground.dynos {
            services += &format!("        - url: http://{dyno}\n");
        }
    }
    format!("  routers:\n{routers}  services:\n{services}")
}

fn caddy_apps(doors: &Doors, ground: &Ground) -> String {
    let mut apps = String::new();
    let dynos: Vec<String> = ground.dynos.iter().map(ToString::to_string).collect();
    let dynos = dynos.join(" ");
    for (_, host) in APPS {
        for door in [doors.plain, doors.h2] {
            let port = door.port();
            let _ = write!(apps, "http://{host}:{port} {{\n\timport app {port} {dynos}\n}}\n");
        }
        let port = doors.tls.port();
        let _ = write!(
            apps,
            "https://{host}:{port} {{\n\timport certificate\n\timport app {port} {dynos}\n}}\n"
        );
    }
    apps
}
