"""Both ends of an upgrade from HTTP/1.1 to HTTP/2 whose request fails. Prints the port."""
import socket
import threading

SETTINGS = b"\0\0\0\x04\0\0\0\0\0"
# END_STREAM and END_HEADERS on stream 1: `:status: 500` is the 14th of the static table.
FAILED = b"\0\0\x01\x01\x05\0\0\0\x01\x8e"

server = socket.create_server(("127.0.0.1", 0))


def receive(end, until):
    data = b""
    while until not in data:
        part = end.recv(65536)
        if not part:
            break
        data += part
    return data


def serve():
    end, _ = server.accept()
    receive(end, b"\r\n\r\n")
    end.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    receive(end, b"SM\r\n\r\n" + SETTINGS)
    end.sendall(SETTINGS)
    end.sendall(FAILED)
    end.recv(1)


serving = threading.Thread(target=serve)
serving.start()
client = socket.create_connection(server.getsockname())
client.sendall(b"POST /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\nContent-Length: 0\r\n\r\n")
receive(client, b"\r\n\r\n")
client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS)
receive(client, FAILED)
client.close()
serving.join()
print(server.getsockname()[1])
