"""A server behind TLS and a proxy for CONNECT in the clear, one behind TLS, and one for SOCKS5. Prints the four ports, then serves."""
import socket, ssl, sys, threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:3])


def serve(handle):
    listener = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=guarded, args=(handle, peer), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    return listener.getsockname()[1]


def guarded(handle, peer):
    try:
        handle(peer)
    except OSError:
        pass
    finally:
        peer.close()


def head(peer):
    text = b""
    while b"\r\n\r\n" not in text:
        more = peer.recv(4096)
        if not more:
            return None
        text += more
    return text


def origin(peer):
    with context.wrap_socket(peer, server_side=True) as tls:
        while head(tls):
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def relay(client, port):
    server = socket.create_connection(("127.0.0.1", port))

    def pump(source, sink):
        while data := source.recv(16384):
            sink.sendall(data)
        server.close()

    threading.Thread(target=guarded, args=(lambda _: pump(server, client), server), daemon=True).start()
    pump(client, server)


def proxy(peer):
    target = head(peer).split()[1]
    peer.sendall(b"HTTP/1.1 200 Connection established\r\nProxy-Agent: of a few lines\r\n\r\n")
    relay(peer, int(target.rpartition(b":")[2]))


def secure_proxy(peer):
    with context.wrap_socket(peer, server_side=True) as tls:
        proxy(tls)


def socks(peer):
    peer.recv(peer.recv(2)[1])
    peer.sendall(b"\x05\x00")
    request = peer.recv(4)
    length = 4 if request[3] == 1 else peer.recv(1)[0]
    peer.recv(length)
    port = int.from_bytes(peer.recv(2), "big")
    peer.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
    relay(peer, port)


print(*[serve(handle) for handle in (origin, proxy, secure_proxy, socks)], flush=True)
sys.stdin.read()
