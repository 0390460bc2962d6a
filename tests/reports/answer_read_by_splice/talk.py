"""A client and a server of HTTP/1. The client reads some answers by splice(2) or throws them away by MSG_TRUNC, where no bytes can be
captured; each answer has a status of its own, which is in the path of its request. Prints the server's port, waits for a line, and prints
how many were answered."""
import os
import socket
import sys
import threading

ANSWER = b"HTTP/1.1 %s X\r\nContent-Length: 5\r\n\r\nhello"
BYTES = len(ANSWER % b"200")


def serve(connection):
    rest = b""
    while True:
        while b"\r\n\r\n" not in rest:
            part = connection.recv(65536)
            if not part:
                return
            rest += part
        head, _, rest = rest.partition(b"\r\n\r\n")
        connection.sendall(ANSWER % head.split(b" ")[1].split(b"/")[2])


def read(client, how):
    left = BYTES
    while left:
        if how == b"splice":
            left -= os.splice(client.fileno(), writer, left)
        else:
            left -= len(client.recv(left, socket.MSG_TRUNC if how == b"trunc" else 0))


listener = socket.create_server(("127.0.0.1", 0))
reader, writer = os.pipe()
threading.Thread(target=lambda: [os.read(reader, 65536) for _ in iter(int, 1)], daemon=True).start()
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.readline()
answered = 0
for unseen in (b"splice", b"trunc"):
    for place in range(3):
        client = socket.create_connection(listener.getsockname())
        for number, status in enumerate((b"201", b"404", b"202", b"403", b"200")):
            how = unseen if number == place else b"seen"
            client.sendall(b"GET /%s/%s HTTP/1.1\r\nHost: reports\r\n\r\n" % (how, status))
            read(client, how)
            answered += 1
        client.close()
print(answered, flush=True)
