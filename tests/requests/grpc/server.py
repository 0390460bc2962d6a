"""A gRPC server: test.Greeter/Hello answers, test.Greeter/Missing says NOT_FOUND. Argument: the port."""
import sys
from concurrent import futures

import grpc


def hello(request, context):
    return b"hello " + request


def missing(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "a secret of the server")


handlers = {
    "Hello": grpc.unary_unary_rpc_method_handler(hello),
    "Missing": grpc.unary_unary_rpc_method_handler(missing),
}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Greeter", handlers)])
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
