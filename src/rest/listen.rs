//! The sockets of the API: bound first, served once there is something to serve.
//!
//! Connections are bounded in number, in the time of their handshake and in the time that a request's
//! head may take, so that clients that do nothing cannot keep others out for long.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::auth::Gate;
use super::tls;
use crate::error::ConnectError;
use crate::runtime::listener::{AdminListeners, Listener};
use crate::runtime::worker_config::WorkerConfig;

/// Connections at once, of all listeners together.
const CONNECTIONS_MAX: usize = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long the head of a request may take to arrive, and a connection may idle between two; the
/// original's idle timeout.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// How long requests that have begun may take once the worker stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// After an error of the whole socket (no file handle left), which a retry at once would repeat.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Bound sockets.
#[derive(Debug)]
pub struct Bound {
    pub(super) api: Vec<Socket>,
    /// `None`: the resources of operators are with all others.
    pub(super) admin: Option<Vec<Socket>>,
    /// What is armed before anything listens.
    pub(super) gate: Arc<Gate>,
}

/// Who is at the other end of a connection; every request bears it as an extension.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Whether it came by TLS.
    pub(super) secure: bool,
    /// Whom its certificate names, which a trusted authority signed.
    pub(super) certificate: Option<Arc<str>>,
}

/// Binds every listener of `config`. Ports that were 0 are the real ones afterwards.
///
/// # Errors
/// When an address cannot be had, or a certificate cannot be read.
pub async fn bind(config: &mut WorkerConfig) -> Result<Bound, ConnectError> {
    let settings = config.settings.clone();
    let gate = Arc::new(Gate::of(&config.security)?);
    if !config.security.authenticates() {
        close_or_warn(config);
    }
    let listeners = &mut config.listeners;
    let api = sockets(&mut listeners.api, &settings, "listeners").await?;
    let admin = match &mut listeners.admin {
        AdminListeners::Shared => None,
        AdminListeners::Own(own) => Some(sockets(own, &settings, "admin.listeners").await?),
    };
    Ok(Bound { api, admin, gate })
}

/// While nobody has to say who they are, everybody who reaches the API may do everything.
fn close_or_warn(config: &mut WorkerConfig) {
    if !config.security.require_auth {
        tracing::warn!(
            "the REST API is open to everybody who reaches it: set rest.auth.basic.file, \
             rest.auth.tokens.file or rest.auth.oidc.issuer, or listeners.require.auth to listen on \
             loopback only until then"
        );
        return;
    }
    let own = match &mut config.listeners.admin {
        AdminListeners::Shared => &mut [][..],
        AdminListeners::Own(own) => own.as_mut_slice(),
    };
    for listener in config.listeners.api.iter_mut().chain(own) {
        let loopback = listener.host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback());
        if !loopback && listener.host != "localhost" {
            tracing::warn!(
                host = listener.host,
                "listening on loopback only: listeners.require.auth is set and no authentication is"
            );
            "127.0.0.1".clone_into(&mut listener.host);
        }
    }
}

async fn sockets(
    listeners: &mut [Listener],
    settings: &crate::config::Props,
    key: &str,
) -> Result<Vec<Socket>, ConnectError> {
    let mut sockets = Vec::new();
    for listener in listeners {
        let tls = match listener.secure {
            true => Some(tls::acceptor(settings, &format!("{key}.https."))?),
            false => None,
        };
        let (host, port) = listener.address();
        let cannot = |error: io::Error| {
            ConnectError::config(format!(
                "cannot listen on {host}:{port}: is another worker running? set `{key}`"
            ))
            .because(error)
        };
        let socket = TcpListener::bind((host, port)).await.map_err(cannot)?;
        listener.port = socket.local_addr().map_err(cannot)?.port();
        sockets.push(Socket { listener: socket, tls });
    }
    Ok(sockets)
}

/// One bound address.
pub(super) struct Socket {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

/// Serves each group of sockets with its routes until `shutdown`; requests that have begun are
/// answered, within a bound.
pub(super) async fn serve(groups: Vec<(Vec<Socket>, Router)>, shutdown: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut accepting = JoinSet::new();
    for (sockets, routes) in groups {
        for socket in sockets {
            accepting.spawn(socket.accept(routes.clone(), Arc::clone(&room), shutdown.clone()));
        }
    }
    while accepting.join_next().await.is_some() {}
}

impl Socket {
    async fn accept(self, routes: Router, room: Arc<Semaphore>, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.next(&room) => accepted,
                Some(_ended) = connections.join_next() => continue,
                () = shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, address, permit)) => {
                    let connection = Connection {
                        address: address.ip(),
                        routes: routes.clone(),
                        shutdown: shutdown.clone(),
                        _permit: permit,
                    };
                    connections.spawn(connection.run(stream, self.tls.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "the REST API cannot accept connections");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
        drop(self.listener);
        let _ =
            timeout(DRAIN_MAX, async { while connections.join_next().await.is_some() {} }).await;
    }

    /// The next connection, once there is room for one.
    async fn next(
        &self,
        room: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = self.listener.accept().await?;
        // Answers are small and whole: nothing is gained by waiting for more.
        stream.set_nodelay(true)?;
        Ok((stream, address, permit))
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidInput
    )
}

struct Connection {
    address: IpAddr,
    routes: Router,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else {
            let peer = Peer { address: self.address, secure: false, certificate: None };
            return self.http(stream, peer).await;
        };
        match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                let own = session.peer_certificates().and_then(<[_]>::first);
                let certificate = own.and_then(|own| tls::named_by(own)).map(Arc::from);
                let peer = Peer { address: self.address, secure: true, certificate };
                self.http(stream, peer).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, address = %self.address, "no TLS session came about");
            }
            Err(_elapsed) => {
                tracing::debug!(address = %self.address, "a TLS handshake took too long")
            }
        }
    }

    async fn http<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { routes, shutdown, _permit, .. } = self;
        let service = tower::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            routes.clone().oneshot(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection ended early");
        }
    }
}
