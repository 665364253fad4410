//! A small client of PostgreSQL's frontend/backend protocol 3.0: log in, run statements, and read
//! COPY streams as chunks of many frames. One client for SQL, snapshot and replication, because
//! replication and zero-copy COPY need the socket. Sources: PostgreSQL "Frontend/Backend Protocol",
//! "Streaming Replication Protocol".

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::IsNull;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio_rustls::rustls::{self, pki_types::ServerName};

use crate::config::HostMap;
use crate::connector::postgres::config::{ServerConfig, SslMode};
use crate::connector::postgres::socket::{Plain, Socket};
use crate::connector::postgres::tls;

/// Connecting and logging in, together.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// What a server has for hanging up.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings that make values print the same on every server.
const SESSION: [(&str, &str); 7] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
];

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// SQL; `application_name` is this.
    Sql(&'static str),
    /// The replication commands, and SQL in the simple protocol.
    Replication,
}

/// Why a statement or the connection failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(String, #[source] io::Error),
    #[error("{0}")]
    Server(ServerError),
    #[error("{0}")]
    Protocol(String),
    #[error("{0}")]
    Config(String),
}

/// An ErrorResponse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    pub(super) severity: String,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl WireError {
    /// The SQLSTATE, when the server answered.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Server(error) => Some(&error.code),
            _ => None,
        }
    }

    fn lost(error: io::Error) -> Self {
        Self::Io(format!("the connection was lost: {error}"), error)
    }
}

pub(super) type Result<T> = std::result::Result<T, WireError>;

/// A row of text values.
pub(super) type TextRow = Vec<Option<String>>;

/// A logged-in connection. Not cancel-safe: a dropped future leaves it in the middle of an answer,
/// so it belongs to a task of its own.
pub(super) struct Connection {
    pub(super) socket: Box<dyn Socket>,
    pub(super) buffer: BytesMut,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and logs in.
    pub(super) async fn open(
        server: &ServerConfig,
        hosts: &HostMap,
        purpose: Purpose,
    ) -> Result<Self> {
        let login = async {
            let mut connection = match server.tls.mode {
                SslMode::Disable => Self::plain(server, hosts).await?,
                // libpq tries without TLS first.
                SslMode::Allow => {
                    let mut plain = Self::plain(server, hosts).await?;
                    match plain.log_in(server, purpose).await {
                        Err(WireError::Server(error)) if error.code == "28000" => {
                            Self::encrypted(server, hosts).await?
                        }
                        outcome => return outcome.map(|()| plain),
                    }
                }
                _ => Self::encrypted(server, hosts).await?,
            };
            connection.log_in(server, purpose).await?;
            Ok(connection)
        };
        tokio::time::timeout(LOGIN_TIMEOUT, login).await.unwrap_or_else(|_| {
            let seconds = LOGIN_TIMEOUT.as_secs();
            let text = format!("no answer from {}:{} in {seconds} s", server.host, server.port);
            Err(WireError::Io(text, io::ErrorKind::TimedOut.into()))
        })
    }

    async fn plain(server: &ServerConfig, hosts: &HostMap) -> Result<Self> {
        let (host, port) = hosts.resolve(&server.host, server.port);
        let refused = |error: io::Error| {
            let text = format!(
                "Connection to {host}:{port} refused. Check that the hostname and port are correct \
                 and that the postmaster is accepting TCP/IP connections."
            );
            WireError::Io(text, error)
        };
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in tokio::net::lookup_host((host.as_str(), port)).await.map_err(refused)? {
            // What was judged is what is connected to: the name is not resolved again.
            if let Some(why) = hosts.refuses(&server.host, address.ip()) {
                return Err(WireError::Config(format!("database.hostname: {why}")));
            }
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
            let socket = socket.map_err(refused)?;
            socket.set_keepalive(true).map_err(refused)?;
            match socket.connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(refused)?;
                    let buffer = BytesMut::with_capacity(8 * 1024);
                    return Ok(Self { socket: Box::new(Plain::Listening(stream)), buffer });
                }
                Err(error) => last = error,
            }
        }
        Err(refused(last))
    }

    async fn encrypted(server: &ServerConfig, hosts: &HostMap) -> Result<Self> {
        let mut connection = Self::plain(server, hosts).await?;
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        connection.send(&request).await?;
        let answer = connection.socket.read_u8().await.map_err(WireError::lost)?;
        if answer != b'S' {
            if server.tls.mode == SslMode::Prefer {
                return Ok(connection);
            }
            return Err(WireError::Config(format!(
                "the server at {}:{} does not support TLS; enable ssl there, or set \
                 database.sslmode=prefer",
                server.host, server.port
            )));
        }
        let connector = tls::connector(&server.tls).map_err(WireError::Config)?;
        let name = ServerName::try_from(server.host.clone())
            .map_err(|error| WireError::Config(format!("database.hostname: {error}")))?;
        let stream = connector.connect(name, connection.socket).await.map_err(|error| {
            let text = format!("TLS with {} failed: {error}", server.host);
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(rustls::Error::InvalidCertificate(_)) => WireError::Config(format!(
                    "{text}; name the authority of the server's certificate in \
                     database.sslrootcert, and as database.hostname the name that it is for"
                )),
                _ => WireError::Io(text, error),
            }
        })?;
        Ok(Self { socket: Box::new(stream), buffer: connection.buffer })
    }

    async fn log_in(&mut self, server: &ServerConfig, purpose: Purpose) -> Result<()> {
        let timeout = server.query_timeout.as_millis().to_string();
        let mut parameters = vec![("user", server.user.as_str())];
        parameters.push(("database", &server.database));
        match purpose {
            Purpose::Sql(name) => {
                parameters.extend([("application_name", name), ("statement_timeout", &timeout)]);
            }
            Purpose::Replication => parameters.extend([
                ("application_name", "Ferroconnect Streaming"),
                ("replication", "database"),
            ]),
        }
        parameters.extend(SESSION);
        let mut message = BytesMut::new();
        frontend::startup_message(parameters, &mut message).map_err(malformed)?;
        self.send(&message).await?;
        self.authenticate(server).await?;
        loop {
            match self.message().await? {
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ErrorResponse(body) => return Err(server_error(body.fields())),
                _ => {}
            }
        }
    }

    async fn authenticate(&mut self, server: &ServerConfig) -> Result<()> {
        let password = server.password.as_ref().map_or("", |password| password.expose()).as_bytes();
        let mut answer = BytesMut::new();
        let answered = match self.message().await? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => {
                frontend::password_message(password, &mut answer)
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(server.user.as_bytes(), password, body.salt());
                frontend::password_message(hash.as_bytes(), &mut answer)
            }
            Message::AuthenticationSasl(body) => {
                let offered = body.mechanisms().any(|name| Ok(name == SCRAM_SHA_256));
                if !offered.map_err(malformed)? {
                    return Err(unsupported("a SASL mechanism other than SCRAM-SHA-256"));
                }
                return self.scram(password).await;
            }
            Message::ErrorResponse(body) => return Err(server_error(body.fields())),
            _ => return Err(unsupported("GSSAPI, SSPI or Kerberos")),
        };
        answered.map_err(malformed)?;
        self.send(&answer).await?;
        self.expect_authentication_ok().await
    }

    async fn scram(&mut self, password: &[u8]) -> Result<()> {
        let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
        let mut out = BytesMut::new();
        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)
            .map_err(malformed)?;
        self.send(&out).await?;
        match self.message().await? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(malformed)?;
            }
            Message::ErrorResponse(body) => return Err(server_error(body.fields())),
            _ => return Err(WireError::Protocol("SCRAM broke off".to_owned())),
        }
        out.clear();
        frontend::sasl_response(scram.message(), &mut out).map_err(malformed)?;
        self.send(&out).await?;
        match self.message().await? {
            Message::AuthenticationSaslFinal(body) => {
                scram.finish(body.data()).map_err(malformed)?;
            }
            Message::ErrorResponse(body) => return Err(server_error(body.fields())),
            _ => return Err(WireError::Protocol("SCRAM broke off".to_owned())),
        }
        self.expect_authentication_ok().await
    }

    async fn expect_authentication_ok(&mut self) -> Result<()> {
        match self.message().await? {
            Message::AuthenticationOk => Ok(()),
            Message::ErrorResponse(body) => Err(server_error(body.fields())),
            _ => Err(WireError::Protocol("the server did not finish authentication".to_owned())),
        }
    }

    /// Runs one statement with text parameters (extended protocol).
    pub(super) async fn query(&mut self, sql: &str, params: &[&str]) -> Result<Vec<TextRow>> {
        let mut out = BytesMut::new();
        frontend::parse("", sql, [], &mut out).map_err(malformed)?;
        let text = |value: &&str, buffer: &mut BytesMut| {
            buffer.extend_from_slice(value.as_bytes());
            Ok(IsNull::No)
        };
        frontend::bind("", "", [], params, text, [], &mut out)
            .map_err(|_| WireError::Protocol("a parameter is too long".to_owned()))?;
        frontend::execute("", 0, &mut out).map_err(malformed)?;
        frontend::sync(&mut out);
        self.send(&out).await?;
        self.rows().await
    }

    /// Runs statements in the simple protocol, the only one of replication connections.
    pub(super) async fn simple(&mut self, sql: &str) -> Result<Vec<TextRow>> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(malformed)?;
        self.send(&out).await?;
        self.rows().await
    }

    /// Reads until the server is ready again, so that the connection stays usable after an error.
    async fn rows(&mut self) -> Result<Vec<TextRow>> {
        let mut rows = Vec::new();
        let mut failure = None;
        loop {
            match self.message().await? {
                Message::DataRow(body) => rows.push(text_row(&body).map_err(malformed)?),
                Message::ErrorResponse(body) => {
                    let error = server_error(body.fields());
                    // The server closes the connection after these and is never ready again.
                    if matches!(&error, WireError::Server(error) if error.severity == "FATAL") {
                        return Err(error);
                    }
                    failure = failure.or(Some(error));
                }
                Message::ReadyForQuery(_) => return failure.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    /// Starts a statement whose answer is a COPY stream; its frames are then read from the socket.
    pub(super) async fn start_copy(&mut self, sql: &str) -> Result<()> {
        let mut out = BytesMut::new();
        frontend::query(sql, &mut out).map_err(malformed)?;
        self.send(&out).await?;
        loop {
            // postgres_protocol does not know CopyBothResponse.
            match self.peek_tag().await? {
                b'W' | b'H' => {
                    let length = self.complete_frame().await?;
                    self.buffer.advance(length);
                    return Ok(());
                }
                _ => {
                    if let Message::ErrorResponse(body) = self.message().await? {
                        return Err(server_error(body.fields()));
                    }
                }
            }
        }
    }

    /// Reads what follows the rows of a COPY, until the connection is ready again.
    pub(super) async fn finish_copy(&mut self) -> Result<()> {
        self.rows().await.map(drop)
    }

    /// Says good-bye and waits until the server has hung up: by then it has freed the slot.
    pub(super) async fn close(mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        let hung_up = async {
            self.send(&out).await?;
            loop {
                self.buffer.clear();
                self.buffer.reserve(4096);
                if self.socket.read_buf(&mut self.buffer).await.map_err(WireError::lost)? == 0 {
                    return Ok::<(), WireError>(());
                }
            }
        };
        // It ends anyway when the socket is dropped.
        drop(tokio::time::timeout(GOODBYE_TIMEOUT, hung_up).await);
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.write_all(bytes).await.map_err(WireError::lost)?;
        self.socket.flush().await.map_err(WireError::lost)
    }

    pub(super) async fn message(&mut self) -> Result<Message> {
        self.complete_frame().await?;
        let message = Message::parse(&mut self.buffer).map_err(malformed)?;
        message.ok_or_else(|| WireError::Protocol("an incomplete message".to_owned()))
    }

    async fn peek_tag(&mut self) -> Result<u8> {
        self.complete_frame().await?;
        Ok(self.buffer.first().copied().unwrap_or_default())
    }

    /// Reads until the buffer starts with a complete frame and returns its length.
    async fn complete_frame(&mut self) -> Result<usize> {
        loop {
            let length = frame_length(&self.buffer)?;
            if let Some(length) = length.filter(|length| *length <= self.buffer.len()) {
                return Ok(length);
            }
            self.buffer.reserve(length.unwrap_or(0).max(4096));
            if self.socket.read_buf(&mut self.buffer).await.map_err(WireError::lost)? == 0 {
                return Err(WireError::lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// The length of the frame that `bytes` starts with, once its header is there.
pub(super) fn frame_length(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(length) = bytes.get(1..5) else { return Ok(None) };
    let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    // PostgreSQL's messages stay below 1 GiB.
    if !(4..1 << 30).contains(&length) {
        return Err(WireError::Protocol(format!("a frame of {length} bytes")));
    }
    Ok(Some(length + 1))
}

/// The error that a complete ErrorResponse frame holds.
pub(super) fn error_of_frame(frame: &[u8]) -> WireError {
    match Message::parse(&mut BytesMut::from(frame)) {
        Ok(Some(Message::ErrorResponse(body))) => server_error(body.fields()),
        _ => WireError::Protocol("an unreadable error of the server".to_owned()),
    }
}

fn server_error(mut fields: ErrorFields<'_>) -> WireError {
    let mut error = ServerError::default();
    while let Ok(Some(field)) = fields.next() {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            // `V` is `S` without translation, and comes after it.
            b'S' | b'V' => error.severity = text,
            b'C' => error.code = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            _ => {}
        }
    }
    WireError::Server(error)
}

fn text_row(body: &postgres_protocol::message::backend::DataRowBody) -> io::Result<TextRow> {
    let buffer = body.buffer();
    let value = |range: Option<std::ops::Range<usize>>| {
        let bytes = range.and_then(|range| buffer.get(range));
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    body.ranges().map(value).collect()
}

fn malformed(error: io::Error) -> WireError {
    WireError::Protocol(error.to_string())
}

fn unsupported(method: &str) -> WireError {
    WireError::Config(format!(
        "the server asks for authentication by {method}; use SCRAM-SHA-256, md5 or a client \
         certificate in pg_hba.conf"
    ))
}
