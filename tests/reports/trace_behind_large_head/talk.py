"""talk.py REQUESTS: a client and a server of HTTP/1 that keep their connections. Each request has a trace of its own behind so many
bytes of other fields; the last connections send in parts, and read in parts. Prints the server's port, waits for a line, prints how many
were asked and answered, and how large the answers were."""
import socket
import sys
import threading

SIZES = [0, 400, 900, 4096, 7000, 15000]
REQUESTS = int(sys.argv[1])
BODY = b"b" * 3000
COOKIE = b"Set-Cookie: " + b"c" * 700 + b"\r\n"


def read_head(connection, at_once, rest):
    while b"\r\n\r\n" not in rest:
        part = connection.recv(at_once)
        if not part:
            return None, b""
        rest += part
    head, _, rest = rest.partition(b"\r\n\r\n")
    return head, rest


def serve(connection):
    rest = b""
    while True:
        head, rest = read_head(connection, 65536, rest)
        if head is None:
            return
        at_once = 1000 if b"/parts/" in head else 65536
        if at_once != 65536:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + COOKIE + b"Content-Length: 3000\r\n\r\n" + BODY)
            continue
        connection.sendall(COOKIE + b"Content-Length: 3000\r\n\r\n")
        connection.sendall(BODY)


def trace(number):
    return b"00-%032x-%016x-01" % (0xABC << 112 | number, 0x123 << 52 | number)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
sys.stdin.readline()
number = answered = 0
for where in ("whole", "parts"):
    for size in SIZES:
        client = socket.create_connection(listener.getsockname())
        for _ in range(REQUESTS // (2 * len(SIZES))):
            number += 1
            head = b"GET /%s/%d HTTP/1.1\r\nAuthorization: Bearer %s\r\ntraceparent: %s\r\nHost: reports\r\n\r\n"
            head %= where.encode(), size, b"a" * size, trace(number)
            step = len(head) if where == "whole" else 1000
            for at in range(0, len(head), step):
                client.sendall(head[at : at + step])
            answer, rest = read_head(client, 65536, b"")
            while len(rest) < 3000:
                rest += client.recv(65536)
            answered += answer.startswith(b"HTTP/1.1 200")
        client.close()
print(number, answered, flush=True)
