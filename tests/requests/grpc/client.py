"""Calls test.Greeter/Hello and /Missing so many times each. Arguments: the port, how many."""
import sys

import grpc

channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}")
hello = channel.unary_unary("/test.Greeter/Hello")
missing = channel.unary_unary("/test.Greeter/Missing")
for number in range(int(sys.argv[2])):
    assert hello(b"you") == b"hello you"
    try:
        missing(b"you")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND
print("done")
