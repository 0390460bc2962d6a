//! Conversations over loopback, both ends in this process, in step: an end goes on only after the other has read its bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

/// The sender and the bytes of each step, in order.
#[derive(Default)]
pub(crate) struct Talk(pub(crate) Vec<(Side, Vec<u8>)>);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The listener for conversations of one protocol.
pub(crate) struct Listener {
    socket: Socket,
    pub(crate) port: u16,
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

// === impl Talk ===

impl Talk {
    /// Adds bytes of the client.
    pub(crate) fn client(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push((Side::Client, bytes.as_ref().to_vec()));
        self
    }

    /// Adds bytes of the server.
    pub(crate) fn server(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.push((Side::Server, bytes.as_ref().to_vec()));
        self
    }
}

// === impl Listener ===

impl Listener {
    /// Listens on a free port, with datagrams for `dns`.
    pub(crate) fn bind(protocol: &str) -> Self {
        let address = "127.0.0.1:0";
        if protocol == "dns" {
            let socket = UdpSocket::bind(address).unwrap();
            let port = socket.local_addr().unwrap().port();
            return Self { socket: Socket::Udp(socket), port };
        }
        let socket = TcpListener::bind(address).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self { socket: Socket::Tcp(socket), port }
    }

    /// Plays a conversation on a connection of its own, and closes it.
    pub(crate) fn play(&self, talk: &Talk) {
        match &self.socket {
            Socket::Tcp(listener) => {
                let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (mut server, _) = listener.accept().unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                for (side, bytes) in &talk.0 {
                    let (from, to) =
                        if *side == Side::Client { (&mut client, &mut server) } else { (&mut server, &mut client) };
                    from.write_all(bytes).unwrap();
                    to.read_exact(&mut vec![0; bytes.len()]).unwrap();
                }
            }
            Socket::Udp(server) => {
                let client = UdpSocket::bind("127.0.0.1:0").unwrap();
                client.connect(server.local_addr().unwrap()).unwrap();
                let mut peer: Option<SocketAddr> = None;
                let mut buffer = [0; 2048];
                for (side, bytes) in &talk.0 {
                    if *side == Side::Client {
                        client.send(bytes).unwrap();
                        peer = Some(server.recv_from(&mut buffer).unwrap().1);
                    } else {
                        server.send_to(bytes, peer.unwrap()).unwrap();
                        client.recv(&mut buffer).unwrap();
                    }
                }
            }
        }
    }
}
