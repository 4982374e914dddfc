//! Every client with every dyno, a test each.

use super::{
    dyno::Server,
    round::{Client, round},
};

macro_rules! pairs {
    ($($client:ident reaches { $($name:ident $server:ident,)* })*) => {
        $($(
            #[test]
            fn $name() {
                round(Client::$client, Server::$server);
            }
        )*)*
    };
}

pairs! {
    Curl reaches {
        curl_reaches_gunicorn_sync GunicornSync,
        curl_reaches_gunicorn_threads GunicornThreads,
        curl_reaches_uvicorn Uvicorn,
        curl_reaches_puma Puma,
        curl_reaches_node Node,
        curl_reaches_express Express,
    }
    Requests reaches {
        requests_reaches_gunicorn_sync GunicornSync,
        requests_reaches_gunicorn_threads GunicornThreads,
        requests_reaches_uvicorn Uvicorn,
        requests_reaches_puma Puma,
        requests_reaches_node Node,
        requests_reaches_express Express,
    }
    Httpx reaches {
        httpx_reaches_gunicorn_sync GunicornSync,
        httpx_reaches_gunicorn_threads GunicornThreads,
        httpx_reaches_uvicorn Uvicorn,
        httpx_reaches_puma Puma,
        httpx_reaches_node Node,
        httpx_reaches_express Express,
    }
    Node reaches {
        node_reaches_gunicorn_sync GunicornSync,
        node_reaches_gunicorn_threads GunicornThreads,
        node_reaches_uvicorn Uvicorn,
        node_reaches_puma Puma,
        node_reaches_node Node,
        node_reaches_express Express,
    }
    HttpxHttp2 reaches {
        httpx_over_http2_reaches_gunicorn_threads GunicornThreads,
        httpx_over_http2_reaches_uvicorn Uvicorn,
    }
    NodeHttp2 reaches {
        node_over_http2_reaches_gunicorn_sync GunicornSync,
        node_over_http2_reaches_puma Puma,
        node_over_http2_reaches_node Node,
        node_over_http2_reaches_express Express,
    }
    Undici reaches {
        undici_reaches_gunicorn_sync GunicornSync,
        undici_reaches_gunicorn_threads GunicornThreads,
        undici_reaches_uvicorn Uvicorn,
        undici_reaches_puma Puma,
        undici_reaches_node Node,
        undici_reaches_express Express,
    }
    Java reaches {
        java_reaches_gunicorn_sync GunicornSync,
        java_reaches_gunicorn_threads GunicornThreads,
        java_reaches_uvicorn Uvicorn,
        java_reaches_puma Puma,
        java_reaches_node Node,
        java_reaches_express Express,
    }
}
