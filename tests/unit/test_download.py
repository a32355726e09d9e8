"""Images fetched by this machine: from a real server, and never from where they must not."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openai_magics.errors import OptionError, Unreachable
from openai_magics.images import download
from openai_magics.images.prepare import kept, part, prepare
from tests.unit.pictures import cornered, encoded, one, prepared, seen

IMAGE = encoded(cornered(), "PNG")
Answer = Callable[[BaseHTTPRequestHandler], None]


class Site(ThreadingHTTPServer):
    """A server whose answers a test sets, by path; as a proxy it sees whole addresses."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of who hung up."""


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answers[self.path](self)

    def log_message(self, *_: object) -> None:
        pass


def data(content: bytes, kind: str = "image/png", status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def moved(to: str, status: int = 302) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server on this machine; no proxy in between."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = Site()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_an_image_is_fetched(site: Site) -> None:
    """The bytes of the server, whatever it calls them: they are looked at."""
    site.answers["/a"] = data(IMAGE, "application/octet-stream")
    assert download.fetch(f"{site.url}/a", private=True) == IMAGE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site: Site, status: int) -> None:
    """Relative ones and whole addresses."""
    site.answers = {
        "/a": moved("b?x=1", status),
        "/b?x=1": moved(f"{site.url}/c", status),
        "/c": data(IMAGE),
    }
    assert download.fetch(f"{site.url}/a", private=True) == IMAGE


def test_redirects_come_to_an_end(site: Site) -> None:
    """Five are enough."""
    site.answers["/a"] = moved("/a")
    with pytest.raises(OptionError, match="redirects more than 5 times"):
        download.fetch(f"{site.url}/a", private=True)
    assert len(site.asked) == 6


@pytest.mark.parametrize(
    ("answer", "error", "problem"),
    [
        (data(b"<!doctype html><title>Log in</title>", "text/html"), OptionError, "is a web page.*calls it text/html"),
        (data(b"<svg></svg>", "image/svg+xml"), OptionError, "is an SVG drawing"),
        (data(b"not found", "text/plain", 404), OptionError, "was answered with 404 Not Found"),
        (data(b"", "text/plain", 403), OptionError, "was answered with 403 Forbidden"),
        (data(b"oops", "text/plain", 502), Unreachable, "was answered with 502"),
        (data(b"slow down", "text/plain", 429), Unreachable, "was answered with 429"),
        (data(b""), OptionError, r"is empty \(0 bytes\)"),
        (data(b"\x89PNG\r\n\x1a\n" + bytes(download.LARGEST)), OptionError, "is larger than 20 MB"),
        (moved("file:///etc/passwd"), OptionError, "is no http or https address"),
        (moved("ftp://example.org/a"), OptionError, "is no http or https address"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_said(
    site: Site, answer: Answer, error: type[Exception], problem: str
) -> None:
    """What lasts is the address's fault, what passes is not."""
    site.answers["/a"] = answer
    with pytest.raises(error, match=problem):
        download.fetch(f"{site.url}/a", private=True)


def test_a_server_that_breaks_off_is_said(site: Site) -> None:
    """Less than it promised."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(IMAGE[:60])

    site.answers["/a"] = answer
    with pytest.raises(Unreachable, match="it broke off with 4,940 bytes to come"):
        prepared(f"{site.url}/a", fetch=True, private=True)


def test_nobody_waits_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing, and one that says little at a time."""
    monkeypatch.setattr(download, "PATIENCE", 0.5)

    def silent(_: BaseHTTPRequestHandler) -> None:
        time.sleep(2)

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(IMAGE[:30])
        for _ in range(30):
            handler.wfile.write(b".")
            time.sleep(0.1)

    for answer in (silent, trickle):
        site.answers["/a"] = answer
        begun = time.monotonic()
        with pytest.raises(Unreachable, match="it took too long"):
            download.fetch(f"{site.url}/a", private=True)
        assert time.monotonic() - begun < 1.8


def test_where_nobody_listens_is_said() -> None:
    """No connection."""
    with pytest.raises(Unreachable, match="could not be fetched"):
        download.fetch("http://127.0.0.1:9/a.png", private=True)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "10.1.2.3", "172.16.0.1", "192.168.0.1"),
        *("169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "[fd00::1]", "[fe80::1]"),
        *("[::ffff:127.0.0.1]", "[2002:7f00:1::]", "2130706433", "0x7f000001", "nas", "x.internal"),
        *("[64:ff9b::a00:1]", "[::7f00:1]", "[fec0::1]"),
    ],
)
def test_a_private_address_is_refused_unasked(host: str) -> None:
    """However it is written."""
    with pytest.raises(OptionError, match="an address of this machine or its network"):
        download.fetch(f"http://{host}/a.png")


def test_a_name_that_leads_to_a_private_address_is_refused(site: Site) -> None:
    """It is what it leads to that counts, at the connection; nothing was asked of it."""
    # A name to the text, and 127.0.0.1 to the resolver.
    with pytest.raises(OptionError, match=r"is at 127\.0\.0\.1, an address of this machine"):
        download.fetch(f"http://127.1:{site.server_port}/a.png")
    assert site.asked == []


def test_a_redirect_to_a_private_address_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site on the internet must not send this machine to where only it can go."""
    monkeypatch.setenv("http_proxy", site.url)  # so that the site can be on the internet
    inside = f"{site.url}/secret.png"
    site.answers = {"http://pictures.example/a.png": moved(inside), "/secret.png": data(IMAGE)}
    with pytest.raises(OptionError, match="an address of this machine or its network"):
        download.fetch("http://pictures.example/a.png")
    assert site.asked == ["http://pictures.example/a.png"]


def test_a_proxy_is_used_where_one_is_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everything on this machine does."""
    monkeypatch.setenv("http_proxy", site.url)
    site.answers["http://pictures.example/a.png"] = data(IMAGE)
    assert download.fetch("http://pictures.example/a.png") == IMAGE


def test_what_was_fetched_is_sent_and_its_hash_kept(site: Site) -> None:
    """The request names the address; the record keeps what was there."""
    site.answers["/a.png"] = data(IMAGE)
    source = one(f"{site.url}/a.png")
    sent = prepare(source, "low", fetch=True, private=True)
    assert seen(sent).size == (96, 64)
    assert part(sent)["image_url"]["url"].startswith("data:image/png;base64,")
    told = kept(sent)
    assert (told["url"], told["fetched"]) == (source.name, hashlib.sha256(IMAGE).hexdigest())
    with pytest.raises(OptionError, match="an address of this machine"):
        prepare(source, fetch=True)
