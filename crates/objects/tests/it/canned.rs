//! A service that answers every request with the next of a few prepared answers.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// Status and body.
pub(crate) type Answer = (u16, &'static str);

/// Serves until it is dropped.
pub(crate) struct Canned {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Canned {
    /// Gives `answers` one after the other, and the last one for ever.
    pub(crate) async fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::default();
        let serving = mitosis_testkit::spawn(serve(listener, answers, Arc::clone(&requests)));
        Self { address, requests, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method and path of each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, answers: &'static [Answer], requests: Arc<Mutex<Vec<String>>>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let requests = requests.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            let requests = requests.clone();
            async move {
                let line = format!("{} {}", request.method(), request.uri().path());
                request.into_body().collect().await.unwrap();
                let mut requests = requests.lock().unwrap();
                let (status, body) = answers[requests.len().min(answers.len() - 1)];
                requests.push(line);
                let body = Full::new(Bytes::from_static(body.as_bytes()));
                Ok::<_, Infallible>(
                    Response::builder().status(status).header("etag", "\"t\"").body(body).unwrap(),
                )
            }
        });
        connections.spawn(async move {
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await.ok();
        });
    }
}
