//! The socket of a connection, which can rest: while it does, arriving packets wake nobody.
//!
//! A walsender sends each message in a packet of its own. A socket that is listened to costs a
//! wake-up for each of them even while its reader sleeps on purpose: measured, 50 wake-ups for
//! every read, and a third of the CPU time of streaming.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What a connection reads and writes.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {
    /// Stops listening until the next read or write.
    fn rest(&mut self);
}

/// TCP without TLS.
pub(super) enum Plain {
    Listening(TcpStream),
    Resting(std::net::TcpStream),
    /// Listening again failed; what was wrong was said once.
    Gone,
}

impl Plain {
    /// The stream, listening again if it was resting.
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let Self::Resting(_) = self
            && let Self::Resting(resting) = std::mem::replace(self, Self::Gone)
        {
            *self = Self::Listening(TcpStream::from_std(resting)?);
        }
        match self {
            Self::Listening(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Socket for Plain {
    fn rest(&mut self) {
        if let Self::Listening(_) = self
            && let Self::Listening(stream) = std::mem::replace(self, Self::Gone)
            && let Ok(resting) = stream.into_std()
        {
            *self = Self::Resting(resting);
        }
    }
}

impl Socket for TlsStream<Box<dyn Socket>> {
    fn rest(&mut self) {
        self.get_mut().0.rest();
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_comes_while_a_socket_rests_is_read_afterwards() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut socket = Plain::Listening(stream);

        let mut byte = [0];
        for sent in 1..4 {
            socket.rest();
            socket.rest();
            server.write_all(&[sent]).await.unwrap();
            let read = tokio::time::timeout(Duration::from_secs(5), socket.read_exact(&mut byte));
            read.await.unwrap().unwrap();
            assert_eq!(byte, [sent]);

            socket.rest();
            socket.write_all(&[sent]).await.unwrap();
            server.read_exact(&mut byte).await.unwrap();
            assert_eq!(byte, [sent]);
        }
        drop(server);
        socket.rest();
        assert_eq!(socket.read(&mut byte).await.unwrap(), 0);
    }
}
