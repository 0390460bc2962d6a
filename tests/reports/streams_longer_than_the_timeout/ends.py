"""Both ends of three exchanges of HTTP/1.1. Prints for each its path, and for how many milliseconds the client waited."""
import socket
import threading
import time

PARTS, PAUSE = 7, 0.5

server = socket.create_server(("127.0.0.1", 0))


def receive(end, until):
    data = b""
    while until not in data:
        part = end.recv(65536)
        if not part:
            break
        data += part
    return data


def serve(end):
    head = receive(end, b"\r\n\r\n")
    path = head.split(b" ")[1]
    if path == b"/stream":
        end.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(PARTS):
            time.sleep(PAUSE)
            end.sendall(b"a\r\n0123456789\r\n")
        end.sendall(b"0\r\n\r\n")
    elif path == b"/upload":
        body = head.split(b"\r\n\r\n", 1)[1]
        while len(body) < PARTS * 10:
            body += end.recv(65536)
        end.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    else:
        time.sleep(PARTS * PAUSE + 1)
        end.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    end.recv(1)
    end.close()


def accept():
    while True:
        threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()


def ask(path, waited):
    end = socket.create_connection(server.getsockname())
    began = time.monotonic()
    if path == "/upload":
        end.sendall(b"PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (PARTS * 10))
        for _ in range(PARTS):
            time.sleep(PAUSE)
            end.sendall(b"0123456789")
        receive(end, b"\r\n\r\n")
    else:
        end.sendall(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
        receive(end, b"0\r\n\r\n")
    waited[path] = int((time.monotonic() - began) * 1000)
    end.close()


threading.Thread(target=accept, daemon=True).start()
waited = {}
clients = [threading.Thread(target=ask, args=(path, waited)) for path in ("/stream", "/upload", "/late")]
for client in clients:
    client.start()
for client in clients:
    client.join()
print(server.getsockname()[1])
for path, milliseconds in waited.items():
    print(path, milliseconds)
