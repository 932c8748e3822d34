//! The smallest coordinator there can be: it serves links and nothing else.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, RANGE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mitosis_domain::clock::{Clock as _, SystemClock};
use mitosis_domain::object::ObjectKey;
use mitosis_objects::{ByteRange, LinkError, ObjectError, ObjectStore, Right};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Serves until it is dropped.
pub(crate) struct Doors {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Doors {
    pub(crate) async fn open(store: Arc<dyn ObjectStore>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, serving: mitosis_testkit::spawn(serve(listener, store)) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, store: Arc<dyn ObjectStore>) {
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let store = store.clone();
        let answer = service_fn(move |request| {
            let store = store.clone();
            async move { Ok::<_, Infallible>(answer(&*store, request).await) }
        });
        connections.spawn(async move {
            // Clients that break off are part of the tests.
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await.ok();
        });
    }
}

async fn answer(store: &dyn ObjectStore, request: Request<Incoming>) -> Response<Body> {
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let access = match store.verify_link(request.method().as_str(), &target, SystemClock.now()) {
        Ok(access) => access,
        Err(LinkError::WrongMethod { .. }) => return plain(StatusCode::METHOD_NOT_ALLOWED),
        Err(LinkError::Invalid | LinkError::Expired) => return plain(StatusCode::FORBIDDEN),
    };
    let done = match access.right {
        Right::Upload { length } | Right::Replace { length, .. } => {
            upload(store, &access.key, length, request).await
        }
        Right::Download => download(store, &access.key, &request).await,
    };
    done.unwrap_or_else(|error| match error {
        ObjectError::NotFound(_) => plain(StatusCode::NOT_FOUND),
        ObjectError::RangeOutside { .. } => plain(StatusCode::RANGE_NOT_SATISFIABLE),
        ObjectError::BodyTooShort { .. } | ObjectError::BodyTooLong { .. } | ObjectError::BodyFailed(_) => {
            plain(StatusCode::BAD_REQUEST)
        }
        error => panic!("unexpected: {error:?}"),
    })
}

async fn upload(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    length: u64,
    request: Request<Incoming>,
) -> Result<Response<Body>, ObjectError> {
    let body = BodyStream::new(request.into_body())
        .try_filter_map(|frame| async move { Ok(frame.into_data().ok()) })
        .map_err(io::Error::other)
        .boxed();
    store.put(key, body, length).await?;
    Ok(plain(StatusCode::OK))
}

async fn download(
    store: &dyn ObjectStore,
    key: &ObjectKey,
    request: &Request<Incoming>,
) -> Result<Response<Body>, ObjectError> {
    let range = request.headers().get(RANGE).and_then(|range| ByteRange::parse(range.to_str().ok()?));
    let object = store.get(key, range).await?;
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let body = StreamBody::new(object.stream.map_ok(Frame::data)).boxed_unsync();
    let response = Response::builder().status(status).header(CONTENT_LENGTH, object.length);
    Ok(response.body(body).unwrap())
}

fn plain(status: StatusCode) -> Response<Body> {
    let empty = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).body(empty).unwrap()
}
