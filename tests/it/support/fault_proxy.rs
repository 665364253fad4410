//! Stands between a sink and the S3 server, remembers what was asked, and does with chosen requests
//! what networks and stores do: refuses them, loses their replies, delays them.
//!
//! Requests pass unchanged, so the server behind it still checks every signature.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::services;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Part,
    Complete,
    Abort,
    Tag,
    Head,
    List,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The store answers this status with this error code.
    Refused(u16, &'static str),
    /// The connection breaks before the request arrives.
    Lost,
    /// The request is done, the connection breaks before the reply.
    ReplyLost,
    /// The request is done after a while.
    Slow(Duration),
    /// The store answers 200 with this text.
    Answered(&'static str),
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub operation: Operation,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<(Operation, VecDeque<Fault>)>,
    /// What happens to every request of a kind, once its queue is empty.
    always: Vec<(Operation, Fault)>,
    seen: Vec<Seen>,
}

/// The proxy; it ends with the runtime of its test.
#[derive(Debug, Clone)]
pub(crate) struct FaultProxy {
    /// To be used as the store's endpoint, or as an HTTP proxy.
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl FaultProxy {
    /// Starts it in front of the tests' S3 server.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state: Arc<Mutex<State>> = Arc::default();
        let proxy = Self { url, state };
        let serving = proxy.clone();
        tokio::spawn(async move {
            let upstream = reqwest::Client::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (proxy, upstream) = (serving.clone(), upstream.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| proxy.serve(&upstream, request));
                    // An error is a fault that was asked for.
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        proxy
    }

    /// The next requests of this kind meet these faults, one each.
    pub(crate) fn next(&self, operation: Operation, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.state();
        let queue = state.faults.iter_mut().find(|(of, _)| *of == operation);
        match queue {
            Some((_, queue)) => queue.extend(faults),
            None => state.faults.push((operation, faults.into_iter().collect())),
        }
    }

    /// All further requests of this kind meet this fault; `None`: no longer.
    pub(crate) fn always(&self, operation: Operation, fault: Option<Fault>) {
        let mut state = self.state();
        state.always.retain(|(of, _)| *of != operation);
        state.always.extend(fault.map(|fault| (operation, fault)));
    }

    /// The requests of this kind so far.
    pub(crate) fn seen(&self, operation: Operation) -> Vec<Seen> {
        self.state().seen.iter().filter(|seen| seen.operation == operation).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    async fn serve(
        &self,
        upstream: &reqwest::Client,
        request: Request<Incoming>,
    ) -> io::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let operation = operation(&parts.method, &parts.uri);
        let fault = operation.and_then(|operation| {
            let mut state = self.state();
            state.seen.push(Seen {
                operation,
                uri: parts.uri.clone(),
                headers: parts.headers.clone(),
                body: body.clone(),
            });
            state.fault(operation)
        });
        let forward = || forward(upstream, &parts.method, &parts.uri, &parts.headers, &body);
        match fault {
            None => forward().await,
            Some(Fault::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                forward().await
            }
            Some(Fault::Lost) => Err(io::Error::other("lost")),
            Some(Fault::ReplyLost) => {
                forward().await?;
                Err(io::Error::other("the reply is lost"))
            }
            Some(Fault::Refused(status, code)) => {
                let text = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
                Ok(answer(status, text))
            }
            Some(Fault::Answered(text)) => Ok(answer(200, text.to_owned())),
        }
    }
}

impl State {
    fn fault(&mut self, operation: Operation) -> Option<Fault> {
        let queue = self.faults.iter_mut().find(|(of, _)| *of == operation);
        let next = queue.and_then(|(_, queue)| queue.pop_front());
        next.or_else(|| {
            let always = self.always.iter().find(|(of, _)| *of == operation);
            always.map(|(_, fault)| fault.clone())
        })
    }
}

fn answer(status: u16, text: String) -> Response<Full<Bytes>> {
    let reply = Response::builder().status(status).header("content-type", "application/xml");
    reply.body(Full::from(text)).expect("a reply")
}

fn operation(method: &Method, uri: &Uri) -> Option<Operation> {
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    Some(match *method {
        Method::POST if has("uploads") => Operation::Create,
        Method::POST if has("uploadId") => Operation::Complete,
        Method::PUT if has("partNumber") => Operation::Part,
        Method::PUT if has("tagging") => Operation::Tag,
        Method::DELETE if has("uploadId") => Operation::Abort,
        Method::HEAD => Operation::Head,
        Method::GET => Operation::List,
        _ => return None,
    })
}

async fn forward(
    upstream: &reqwest::Client,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> io::Result<Response<Full<Bytes>>> {
    // As a proxy it is told the whole address, as an endpoint the path alone.
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("{}{path}", services().s3);
    let mut request = upstream.request(method.clone(), url).body(body.clone());
    for (name, value) in headers.iter().filter(|(name, _)| !is_of_the_connection(name.as_str())) {
        request = request.header(name, value);
    }
    // What was signed.
    if let Some(host) = headers.get(HOST) {
        request = request.header(HOST, host);
    }
    let reply = request.send().await.map_err(io::Error::other)?;
    let mut answer = Response::builder().status(reply.status());
    for (name, value) in reply.headers() {
        // The length of what a HEAD does not bring stands in the header alone.
        let tells_length = *method == Method::HEAD && name == CONTENT_LENGTH;
        if tells_length || !is_of_the_connection(name.as_str()) {
            answer = answer.header(name, value);
        }
    }
    let body = reply.bytes().await.map_err(io::Error::other)?;
    answer.body(Full::from(body)).map_err(io::Error::other)
}

fn is_of_the_connection(name: &str) -> bool {
    matches!(
        name,
        "host" | "connection" | "content-length" | "transfer-encoding" | "proxy-authorization"
    )
}
