"""gRPC while replaying: its C core opens sockets itself, so its calls are refused, by name."""

import asyncio
import concurrent.futures
import contextlib
import importlib
import socket
import subprocess
import sys

import grpc
import grpc.aio
import pytest

from boundaries.fakes import FakeRun, window
from pytest_sparrow.boundaries.guard import protocols
from pytest_sparrow.boundaries.guard.protocols import CALLS, places
from pytest_sparrow.errors import ReplayDivergence

FAR = "api.example.com:443"


def _answers(request, context):
    return b"said: " + request


@contextlib.contextmanager
def _server():
    """A gRPC server in this process, whose only method answers bytes with bytes."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    methods = {"Say": grpc.unary_unary_rpc_method_handler(_answers)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Test", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def _ask(target):
    with grpc.insecure_channel(target) as channel:
        return channel.unary_unary("/test.Test/Say")(b"hi", timeout=10)


def _ask_aio(target):
    async def main():
        async with grpc.aio.insecure_channel(target) as channel:
            return await channel.unary_unary("/test.Test/Say")(b"hi", timeout=10)

    return asyncio.run(main())


WAYS = [_ask, _ask_aio]


def _calls(channel):
    """Every way to call over a channel."""
    one, streamed = channel.unary_unary("/t/T"), channel.stream_unary("/t/T")
    return [
        lambda: one(b""),
        lambda: one.with_call(b""),
        lambda: one.future(b""),
        lambda: channel.unary_stream("/t/T")(b""),
        lambda: streamed(iter([b""])),
        lambda: streamed.with_call(iter([b""])),
        lambda: streamed.future(iter([b""])),
        lambda: channel.stream_stream("/t/T")(iter([b""])),
        lambda: grpc.channel_ready_future(channel),
    ]


def _refused_each(calls):
    with window(FakeRun([])) as run:
        for call in calls:
            with pytest.raises(ReplayDivergence, match="a gRPC call to api"):
                call()
    assert len(run.refused) == len(calls)


@pytest.mark.parametrize("ask", WAYS)
def test_a_call_is_refused_by_name_in_a_replay(ask):
    """Protocol, host, port and the setting that keeps it reachable are named, and it is a violation."""
    with window(FakeRun([])) as run, pytest.raises(ReplayDivergence):
        ask(FAR)
    assert run.refused == [
        "a gRPC call to api.example.com:443 was refused: the world is shut while replaying"
        " | sparrow_allow_hosts = api.example.com:443 keeps it reachable"
    ]


def test_every_kind_of_call_is_refused_on_a_channel_of_before():
    """A client that a module or a session fixture made is refused as well, however it calls."""
    with grpc.insecure_channel(FAR) as channel:
        _refused_each(_calls(channel))
    credentials = grpc.ssl_channel_credentials()
    options = [(grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1)]
    with grpc.secure_channel(FAR, credentials, options) as channel:
        _refused_each([lambda: channel.unary_stream("/t/T")(b"")])


def test_every_kind_of_call_of_aio_is_refused():
    """The calls of gRPC's asyncio interface are refused, too."""

    async def main():
        async with grpc.aio.insecure_channel(FAR) as channel:
            _refused_each(
                [
                    lambda: channel.unary_unary("/t/T")(b""),
                    lambda: channel.unary_stream("/t/T")(b""),
                    lambda: channel.stream_unary("/t/T")(),
                    lambda: channel.stream_stream("/t/T")(),
                    lambda: channel.get_state(try_to_connect=True),
                ]
            )

    asyncio.run(main())


def test_a_channel_that_nobody_calls_is_no_contact_with_the_world():
    """Clients are made where no tool runs: opening, asking for the state and closing connect to nobody."""
    with window(FakeRun([])) as run:
        with grpc.insecure_channel(FAR) as channel:
            channel.unary_unary("/t/T")

        async def main():
            async with grpc.aio.insecure_channel(FAR) as one:
                return one.get_state()

        asyncio.run(main())
    assert run.refused == []


@pytest.mark.parametrize("ask", WAYS)
def test_a_call_is_free_where_the_world_is_open(ask):
    """A recording lets it pass, and so does a replay to a server of its own process."""
    with _server() as port:
        for golden in (None, []):
            with window(FakeRun(golden)) as run:
                assert ask(f"127.0.0.1:{port}") == b"said: hi"
            assert run.refused == run.crossings == []


@pytest.mark.parametrize("ask", WAYS)
def test_an_allowed_host_is_reached(ask, monkeypatch):
    """`allow_hosts` keeps a server reachable, by the name that the channel was opened with."""
    from pytest_sparrow.boundaries.guard import network

    monkeypatch.setattr(network, "session_listens_on_port", lambda *_, **__: False)
    with _server() as port:
        with window(FakeRun([], hosts={"127.0.0.1": "allow"})):
            assert ask(f"dns:///127.0.0.1:{port}") == b"said: hi"
        with window(FakeRun([])), pytest.raises(ReplayDivergence):
            ask(f"dns:///127.0.0.1:{port}")


@pytest.mark.parametrize("ask", WAYS)
def test_an_ignored_host_is_unavailable(ask):
    """Telemetry gets gRPC's own error, and no violation."""
    with (
        window(FakeRun([], hosts={"api.example.com": "ignore"})) as run,
        pytest.raises(grpc.RpcError) as caught,
    ):
        ask(FAR)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "ignored" in caught.value.details()
    assert run.refused == []


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("localhost:50051", [("localhost", 50051)]),
        ("api.example.com", [("api.example.com", 443)]),
        ("dns:api.example.com:1", [("api.example.com", 1)]),
        ("dns://8.8.8.8/api.example.com:1", [("api.example.com", 1)]),
        ("dns:1", [("dns", 1)]),
        ("ipv4:10.0.0.1:1,10.0.0.2", [("10.0.0.1", 1), ("10.0.0.2", 443)]),
        ("ipv6:[::1]:1,[::2]", [("::1", 1), ("::2", 443)]),
        ("::1", [("::1", 443)]),
        ("unix:a.sock", "a.sock"),
        ("unix:///tmp/a.sock", "/tmp/a.sock"),
    ],
)
def test_what_a_target_names(target, found):
    """Targets are read as gRPC's naming document says; 443 where no port is named."""
    assert places(target) == found


@pytest.mark.parametrize("target", ["xds:///service", "unix-abstract:name", "passthrough:///h:1"])
def test_a_target_whose_hosts_only_grpc_knows_is_refused(target):
    """A target that cannot be read is not let through."""
    with pytest.raises(ValueError, match=target):
        places(target)
    with (
        window(FakeRun([])) as run,
        pytest.raises(ReplayDivergence),
        grpc.insecure_channel(target) as channel,
    ):
        channel.unary_unary("/t/T")(b"")
    assert target in run.refused[0]


def test_unix_sockets(tmp_path):
    """A unix socket is judged by its path."""
    path = str(tmp_path / "s")
    with (
        window(FakeRun([])) as run,
        pytest.raises(ReplayDivergence),
        grpc.insecure_channel(f"unix:{path}") as one,
    ):
        one.unary_unary("/t/T")(b"")
    assert f"sparrow_allow_hosts = {path}" in run.refused[0]
    with socket.socket(socket.AF_UNIX) as mine, window(FakeRun([])) as run:
        mine.bind(path)
        mine.listen()
        with pytest.raises(grpc.RpcError), grpc.insecure_channel(f"unix:{path}") as one:
            one.unary_unary("/t/T")(b"", timeout=0.05)  # nobody answers, but the call was let through
    assert run.refused == []


@pytest.mark.parametrize("module", CALLS)
def test_the_private_names_are_there_and_restored(module):
    """The classes that are patched exist with these methods; if this fails, channels can't be opened in a replay."""
    classes = vars(importlib.import_module(module))
    before = {
        (owner, name): vars(classes[owner])[name] for owner, names in CALLS[module].items() for name in names
    }
    with window(FakeRun([])):
        assert all(vars(classes[owner])[name] is not was for (owner, name), was in before.items())
    assert all(vars(classes[owner])[name] is was for (owner, name), was in before.items())


def test_without_the_private_names_no_channel_can_be_opened(monkeypatch):
    """The fallback fails closed."""
    channels = importlib.import_module("grpc._channel")
    monkeypatch.delattr(channels, "_StreamUnaryMultiCallable")
    monkeypatch.setattr(protocols.PATCHES, "_made", {})
    before = grpc.insecure_channel
    with window(FakeRun([])), pytest.raises(ReplayDivergence, match="a gRPC call to api"):
        grpc.insecure_channel(FAR)
    assert grpc.insecure_channel is before


def test_a_library_that_is_loaded_later_is_patched_then():
    """Shutting the world imports no gRPC; one that is imported within is refused all the same."""
    script = """if True:
        import sys
        from pytest_sparrow.boundaries import guard
        from pytest_sparrow.errors import ReplayDivergence
        from pytest_sparrow.findings import Finding, Kind
        from pytest_sparrow.run.context import open_window
        from pytest_sparrow.run.violations import divergence

        class Run:
            run_id, in_process, replaying = "r", False, True
            def passes_host(self, host, port):
                return "cross"
            def refuse(self, case, **detail):
                return divergence(Finding(kind=Kind.REFUSED, case=case, detail=detail))

        run = Run()
        open_window(run)
        with guard.shut(run):
            assert "grpc" not in sys.modules
            import grpc
            try:
                grpc.insecure_channel("api.example.com").unary_unary("/t/T")(b"")
            except ReplayDivergence as error:
                print(error.summary)
    """
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert "a gRPC call to api.example.com:443" in done.stdout
