"""The service of gRPC's interop cases, as `interop-test-descriptions.md` of grpc describes it."""

import concurrent.futures
import sys
import time

import grpc
from interop import empty_pb2, messages_pb2, test_pb2_grpc

INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"


def echo_metadata(context):
    for key, value in context.invocation_metadata():
        if key == INITIAL:
            context.send_initial_metadata(((key, value),))
        elif key == TRAILING:
            context.set_trailing_metadata(((key, value),))


def echo_status(request, context):
    if request.HasField("response_status"):
        code = next(c for c in grpc.StatusCode if c.value[0] == request.response_status.code)
        context.abort(code, request.response_status.message)


def payload(size):
    return messages_pb2.Payload(type=messages_pb2.COMPRESSABLE, body=bytes(size))


def outputs(request):
    for wanted in request.response_parameters:
        time.sleep(wanted.interval_us / 1e6)
        yield messages_pb2.StreamingOutputCallResponse(payload=payload(wanted.size))


class TestService(test_pb2_grpc.TestServiceServicer):
    def EmptyCall(self, request, context):
        echo_metadata(context)
        return empty_pb2.Empty()

    def UnaryCall(self, request, context):
        echo_metadata(context)
        echo_status(request, context)
        return messages_pb2.SimpleResponse(payload=payload(request.response_size))

    def StreamingOutputCall(self, request, context):
        echo_status(request, context)
        yield from outputs(request)

    def StreamingInputCall(self, requests, context):
        size = sum(len(request.payload.body) for request in requests)
        return messages_pb2.StreamingInputCallResponse(aggregated_payload_size=size)

    def FullDuplexCall(self, requests, context):
        echo_metadata(context)
        for request in requests:
            echo_status(request, context)
            yield from outputs(request)

    def HalfDuplexCall(self, requests, context):
        for request in list(requests):
            yield from outputs(request)


# What the client calls unimplemented stays so: `UnimplementedCall` and `UnimplementedService`.
server = grpc.server(
    concurrent.futures.ThreadPoolExecutor(64),
    options=[("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)],
)
test_pb2_grpc.add_TestServiceServicer_to_server(TestService(), server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
