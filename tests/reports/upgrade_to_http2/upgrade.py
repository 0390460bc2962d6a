"""A connection that is upgraded to HTTP/2, and requests behind it; prints how many were answered."""
import socket
import sys
import threading

import h2.config
import h2.connection
import h2.events

port, requests, together = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "together"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def head(connection):
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65536)
    return read.split(b"\r\n\r\n", 1)


def serve(listener):
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    fields, data = head(connection)
    settings = next(line for line in fields.split(b"\r\n") if line.lower().startswith(b"http2-settings"))
    frames = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    frames.initiate_upgrade_connection(settings.split(b": ")[1])
    frames.send_headers(1, [(":status", "200")], end_stream=True)
    if together:
        connection.sendall(SWITCH + frames.data_to_send())
    else:
        connection.sendall(SWITCH)
        connection.sendall(frames.data_to_send())
    while True:
        for event in frames.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                frames.send_headers(event.stream_id, [(":status", "204")], end_stream=True)
        connection.sendall(frames.data_to_send())
        data = connection.recv(65536)
        if not data:
            return


listener = socket.create_server(("127.0.0.1", port))
server = threading.Thread(target=serve, args=(listener,), daemon=True)
server.start()
client = socket.create_connection(("127.0.0.1", port))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
frames = h2.connection.H2Connection()
settings = frames.initiate_upgrade_connection()
client.sendall(
    b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
    + settings
    + b"\r\n\r\n"
)
_, rest = head(client)
client.sendall(frames.data_to_send())
if rest:
    frames.receive_data(rest)
answered = 0
for number in range(requests):
    stream = frames.get_next_available_stream_id()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/behind")]
    frames.send_headers(stream, fields, end_stream=True)
    client.sendall(frames.data_to_send())
    ended = False
    while not ended:
        for event in frames.receive_data(client.recv(65536)):
            ended = ended or (isinstance(event, h2.events.StreamEnded) and event.stream_id == stream)
    answered += 1
client.close()
server.join(5)
print(answered)
