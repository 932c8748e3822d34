//! A TCP proxy on the loopback interface that can delay, freeze and cut its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Most bytes that are read before they are passed on.
const CHUNK: usize = 16 * 1024;

/// What happens to the bytes of every connection, old and new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are passed on.
    None,
    /// Each chunk waits this long before it is passed on.
    Delay(Duration),
    /// The bytes wait and the connections stay open, like an unplugged cable.
    Freeze,
    /// Connections are closed, and new ones as soon as they are accepted, like a crashed server.
    Cut,
}

/// A running proxy. It stops when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy to `target`, which need not exist yet, on a free port.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let fault = watch::Sender::new(Fault::None);
        let accepting = crate::spawn(accept(listener, target, fault.clone()));
        Ok(Self { address, fault, accepting })
    }

    /// The address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the fault of all connections.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts and owns the connections, so that they end with it.
async fn accept(listener: TcpListener, target: SocketAddr, fault: watch::Sender<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(connect(client, target, fault.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Forwards one connection until either side, or a cut, ends it.
async fn connect(client: TcpStream, target: SocketAddr, fault: watch::Receiver<Fault>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let both = async {
        tokio::join!(
            pass_on(from_client, to_server, fault.clone()),
            pass_on(from_server, to_client, fault.clone())
        )
    };
    let mut cut = fault.clone();
    tokio::select! {
        _ = both => {}
        // An error means that the proxy is gone.
        _ = cut.wait_for(|fault| *fault == Fault::Cut) => {}
    }
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut fault: watch::Receiver<Fault>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        let present = *fault.wait_for(|fault| *fault != Fault::Freeze).await.map_err(io::Error::other)?;
        if let Fault::Delay(time) = present {
            tokio::time::sleep(time).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        crate::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                crate::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        address
    }

    async fn exchange(socket: &mut TcpStream) -> io::Result<[u8; 4]> {
        let mut reply = [0; 4];
        socket.write_all(b"ping").await?;
        socket.read_exact(&mut reply).await?;
        Ok(reply)
    }

    #[tokio::test]
    async fn frozen_bytes_arrive_later_and_a_cut_ends_connections() {
        let proxy = FaultProxy::start(echo().await).await.unwrap();
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(&exchange(&mut socket).await.unwrap(), b"ping");

        proxy.set(Fault::Freeze);
        let frozen = tokio::time::timeout(Duration::from_millis(50), exchange(&mut socket)).await;
        assert!(frozen.is_err(), "it arrived through a frozen proxy");
        proxy.set(Fault::Delay(Duration::from_millis(1)));
        let mut reply = [0; 4];
        socket.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"ping");

        proxy.set(Fault::Cut);
        assert!(exchange(&mut socket).await.is_err());
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(exchange(&mut refused).await.is_err());
        proxy.set(Fault::None);
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(&exchange(&mut socket).await.unwrap(), b"ping");
    }
}
