"""The ordered log in object storage keeps the rules of `OrderedLog`; and what is particular to it."""

import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count

import obstore
import pytest

from act_fast.errors import (
    EngineAwayError,
    EngineError,
    EngineRefusedError,
    NotDurableError,
    OutcomeUnknownError,
    ValidationError,
)
from act_fast.stores.ordered import numbered
from act_fast.stores.ordered.objects import S3OrderedLog
from act_fast.testing.conformance.ordered_log import Disturb, OpenLog, OrderedLogConformance
from tests.support.moto import MotoServer
from tests.support.proxy import Proxy
from tests.support.servers import free_port

_numbers = count(1)


@pytest.fixture
def moto(moto: MotoServer) -> MotoServer:
    """The server, with a bucket."""
    moto.make_bucket("bank")
    return moto


def url(port: int, bucket: str = "bank") -> str:
    where = f"http%3A%2F%2F127.0.0.1%3A{port}"
    return f"s3://key:Secret1@{bucket}/logs/log-{next(_numbers)}?endpoint={where}&region=us-east-1&poll=0.05"


class TestObjects(OrderedLogConformance):
    @pytest.fixture
    def proxy(self, moto: MotoServer) -> Iterator[Proxy]:
        with Proxy(moto.port) as proxy:
            yield proxy

    @pytest.fixture
    def open_log(self, proxy: Proxy) -> Iterator[OpenLog]:
        address = url(proxy.port)
        with ExitStack() as opened:
            yield lambda: opened.enter_context(S3OrderedLog(address))

    @pytest.fixture
    def disturb(self, proxy: Proxy) -> Disturb:
        return proxy.cut


def test_an_answer_that_is_lost_leaves_one_record(moto: MotoServer) -> None:
    with Proxy(moto.port) as proxy, S3OrderedLog(url(proxy.port)) as log:
        sent: list[bytes] = []

        def ask(data: bytes) -> bool:
            sent.extend([data] if b"once" in data else [])
            return False

        lost: list[bytes] = []

        def lose(data: bytes) -> bool:
            lost.extend([data] if sent and not lost else [])
            return lost == [data]

        proxy.asked, proxy.answered = ask, lose
        place = log.append(b"once")
        assert lost
        assert [(place, b"once")] == log.read()


def test_of_several_writers_of_a_number_one_has_it(moto: MotoServer) -> None:
    with S3OrderedLog(url(moto.port)) as log, ThreadPoolExecutor(6) as pool:
        blocks = log._blocks
        for number in range(60):
            put = [pool.submit(blocks.put, number, b"%d" % writer * 9000) for writer in range(6)]
            (winner,) = [writer for writer, each in enumerate(put) if each.result(60)]
            assert blocks.get(number, 1) == [b"%d" % winner * 9000]


def test_a_storage_that_overwrites_is_refused(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    put = obstore.put
    monkeypatch.setattr(obstore, "put", lambda *given, mode, **options: put(*given, **options))
    with pytest.raises(NotDurableError, match="If-None-Match"):
        S3OrderedLog(url(moto.port))


def test_no_bucket_is_told(moto: MotoServer) -> None:
    with pytest.raises(EngineError, match="bucket that does not exist"):
        S3OrderedLog(url(moto.port, "nobody"))


def test_a_storage_that_is_not_there_is_away() -> None:
    with pytest.raises(EngineAwayError) as caught:
        S3OrderedLog(url(free_port()))
    assert "127.0.0.1" not in str(caught.value)


def test_a_storage_that_goes_away_leaves_the_outcome_unknown(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered, "_AWAY_SECONDS", 0.5)
    with Proxy(moto.port) as proxy, S3OrderedLog(url(proxy.port)) as log:
        log.append(b"one")
        proxy.close()
        with pytest.raises(EngineAwayError):
            log.head()
        with pytest.raises(OutcomeUnknownError):
            log.append(b"two")


def test_no_text_of_a_log_has_its_credentials(moto: MotoServer) -> None:
    with S3OrderedLog(url(moto.port)) as log:
        assert log.name.startswith("s3://bank/logs/log-")
        assert "Secret1" not in repr(log) + str(log) + log.name


@pytest.mark.parametrize("address", ["s3://bucket", "s3://bucket/", "s3:///prefix", "s3://a,b/prefix", "s3://a:1/b"])
def test_an_address_without_a_bucket_or_a_prefix_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        S3OrderedLog(address)


def test_wrong_credentials_are_refused_and_not_repeated() -> None:
    """The server of the tests lets everybody in, so one that answers as S3 does stands in for it."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"<Error><Code>SignatureDoesNotMatch</Code></Error>")

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = url(server.server_port)
            with pytest.raises(EngineRefusedError) as caught:
                S3OrderedLog(address)
        finally:
            server.shutdown()
    assert "Secret1" not in "".join(traceback.format_exception(caught.value))
