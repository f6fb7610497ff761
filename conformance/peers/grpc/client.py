"""gRPC's interop cases, and a few that a proxy can spoil: one line each, `ok NAME` or `NAME: what was wrong`."""

import concurrent.futures
import queue
import sys
import time

import grpc
from interop import empty_pb2, messages_pb2, test_pb2_grpc

LARGE = 8 << 20
PINGS = [(27182, 31415), (8, 9), (1828, 2653), (45904, 58979)]
CASES = []


def case(run):
    CASES.append(run)
    return run


def payload(size):
    return messages_pb2.Payload(body=bytes(size))


def simple(size=1, wanted=1, status=None):
    return messages_pb2.SimpleRequest(response_size=wanted, payload=payload(size), response_status=status)


def output(*sizes, size=0, interval_us=0, status=None):
    wanted = [messages_pb2.ResponseParameters(size=one, interval_us=interval_us) for one in sizes]
    return messages_pb2.StreamingOutputCallRequest(
        response_parameters=wanted, payload=payload(size), response_status=status
    )


def status(code, message):
    return messages_pb2.EchoStatus(code=code, message=message)


def equal(got, want):
    assert got == want, f"{got!r}, and not {want!r}"


def fails(code, call, details=None):
    """The call ends with a status."""
    try:
        call()
    except grpc.RpcError as error:
        equal(error.code(), code)
        if details is not None:
            equal(error.details(), details)
        return
    raise AssertionError(f"it went well, and not {code}")


def sent_as_asked():
    """Requests of a stream that are sent when somebody says so."""
    waiting = queue.Queue()
    return waiting.put, iter(waiting.get, None)


@case
def empty_unary(stub):
    equal(stub.EmptyCall(empty_pb2.Empty(), timeout=20), empty_pb2.Empty())


@case
def large_unary(stub):
    response = stub.UnaryCall(simple(271828, 314159), timeout=20)
    equal(len(response.payload.body), 314159)


@case
def very_large_unary(stub):
    equal(len(stub.UnaryCall(simple(LARGE, LARGE), timeout=60).payload.body), LARGE)


@case
def client_streaming(stub):
    sizes = [27182, 8, 1828, 45904]
    requests = (messages_pb2.StreamingInputCallRequest(payload=payload(size)) for size in sizes)
    equal(stub.StreamingInputCall(requests, timeout=20).aggregated_payload_size, sum(sizes))


@case
def server_streaming(stub):
    sizes = [31415, 9, 2653, 58979]
    got = [len(r.payload.body) for r in stub.StreamingOutputCall(output(*sizes), timeout=20)]
    equal(got, sizes)


@case
def ping_pong(stub):
    send, requests = sent_as_asked()
    call = stub.FullDuplexCall(requests, timeout=20)
    for size, wanted in PINGS:
        send(output(wanted, size=size))
        equal(len(next(call).payload.body), wanted)
    send(None)
    equal(list(call), [])
    equal(call.code(), grpc.StatusCode.OK)


@case
def half_duplex(stub):
    requests = iter([output(wanted, size=size) for size, wanted in PINGS])
    got = [len(r.payload.body) for r in stub.HalfDuplexCall(requests, timeout=20)]
    equal(got, [wanted for _, wanted in PINGS])


@case
def empty_stream(stub):
    equal(list(stub.FullDuplexCall(iter([]), timeout=20)), [])


@case
def cancel_after_begin(stub):
    _, requests = sent_as_asked()
    call = stub.StreamingInputCall.future(requests)
    call.cancel()
    equal(call.code(), grpc.StatusCode.CANCELLED)


@case
def cancel_after_first_response(stub):
    send, requests = sent_as_asked()
    call = stub.FullDuplexCall(requests, timeout=20)
    send(output(31415, size=27182))
    next(call)
    call.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: next(call))


@case
def timeout_on_sleeping_server(stub):
    send, requests = sent_as_asked()
    call = stub.FullDuplexCall(requests, timeout=0.3)
    send(output(9, interval_us=10_000_000))
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(call))


@case
def status_code_and_message(stub):
    wanted = status(2, "test status message")
    fails(grpc.StatusCode.UNKNOWN, lambda: stub.UnaryCall(simple(status=wanted), timeout=20), wanted.message)
    duplex = lambda: list(stub.FullDuplexCall(iter([output(status=wanted)]), timeout=20))
    fails(grpc.StatusCode.UNKNOWN, duplex, wanted.message)


@case
def special_status_message(stub):
    wanted = status(2, "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")
    fails(grpc.StatusCode.UNKNOWN, lambda: stub.UnaryCall(simple(status=wanted), timeout=20), wanted.message)


@case
def every_status(stub):
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            wanted = status(code.value[0], "told")
            fails(code, lambda wanted=wanted: stub.UnaryCall(simple(status=wanted), timeout=20), "told")


@case
def status_after_messages(stub):
    requests = iter([output(5, 6), output(status=status(5, "no more"))])
    call = stub.FullDuplexCall(requests, timeout=20)
    equal([len(next(call).payload.body) for _ in range(2)], [5, 6])
    fails(grpc.StatusCode.NOT_FOUND, lambda: next(call), "no more")


@case
def unimplemented_method(stub):
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.UnimplementedCall(empty_pb2.Empty(), timeout=20))


@case
def unimplemented_service(stub):
    other = test_pb2_grpc.UnimplementedServiceStub(stub.channel)
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: other.UnimplementedCall(empty_pb2.Empty(), timeout=20))


@case
def custom_metadata(stub):
    initial = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
    trailing = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
    for call in (
        stub.UnaryCall.with_call(simple(), metadata=(initial, trailing), timeout=20)[1],
        stub.FullDuplexCall(iter([output(1)]), metadata=(initial, trailing), timeout=20),
    ):
        assert initial in [tuple(one) for one in call.initial_metadata()], "the initial metadata is not there"
        assert trailing in [tuple(one) for one in call.trailing_metadata()], "the trailing metadata is not there"


@case
def a_stream_that_pauses(stub):
    send, requests = sent_as_asked()
    call = stub.FullDuplexCall(requests, timeout=30)
    for _ in range(3):
        send(output(3))
        equal(len(next(call).payload.body), 3)
        time.sleep(1)
    send(None)
    equal(list(call), [])


@case
def long_streams_both_ways(stub):
    requests = (output(65536, size=65536) for _ in range(200))
    got = sum(len(r.payload.body) for r in stub.FullDuplexCall(requests, timeout=60))
    equal(got, 200 * 65536)


@case
def many_at_once(stub):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        all_of = pool.map(lambda n: len(stub.UnaryCall(simple(n, n), timeout=60).payload.body), range(1000))
        equal(list(all_of), list(range(1000)))


@case
def one_stuck_among_many(stub):
    stuck = stub.StreamingOutputCall(output(*[1 << 20] * 16), timeout=60)
    for n in range(100):
        equal(len(stub.UnaryCall(simple(n, n), timeout=20).payload.body), n)
    equal(sum(len(r.payload.body) for r in stuck), 16 << 20)


def main(port):
    options = [
        ("grpc.default_authority", "shop.test"),
        ("grpc.max_receive_message_length", 64 << 20),
        ("grpc.max_send_message_length", 64 << 20),
    ]
    for run in CASES:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            stub = test_pb2_grpc.TestServiceStub(channel)
            stub.channel = channel
            try:
                run(stub)
                print("ok", run.__name__, flush=True)
            except (AssertionError, grpc.RpcError, StopIteration) as error:
                words = " ".join(str(error).split())
                print(f"{run.__name__}: {type(error).__name__} {words}", flush=True)


main(int(sys.argv[1]))
