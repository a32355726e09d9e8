"""An image fetched from the web by this machine, not by the service (``--fetch``).

Whoever can put an address into a notebook must not reach what only this machine reaches: each
address, and each that one redirects to, is looked up, refused where it is not of the public
internet, and the connection made to the very address that was checked. Through a proxy, which
looks names up itself, only what the address says is checked.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urljoin, urlsplit

from openai_magics.errors import OptionError, Unreachable
from openai_magics.images import sniff
from openai_magics.images.places import checked_url

__all__ = ["LARGEST", "fetch", "refuse_private"]

LARGEST = 20 * 2**20
"""Bytes that are taken at most."""
PATIENCE = 30.0
"""Seconds for the whole."""
REDIRECTS = 5
MOVED = (301, 302, 303, 307, 308)
AGENT = "openai_magics (image)"
OURS = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")
"""Names that are never of the public internet (RFC 6761, 6762, 8375)."""


def fetch(url: str, *, private: bool = False) -> bytes:
    """Return the bytes of an image on the web.

    Parameters
    ----------
    url : str
        An http or https address; up to 5 redirects are followed.
    private : bool
        Whether it may be an address of this machine or of its network.

    Raises
    ------
    OptionError
        It is not an image, larger than 20 MB, private, or the server refuses it.
    Unreachable
        No connection, more than 30 seconds, or the server is failing.
    """
    end = time.monotonic() + PATIENCE
    for _ in range(REDIRECTS + 1):
        with _opened(checked_url(url), end, private=private) as response:
            if response.status in MOVED and (to := response.headers.get("Location")):
                url = urljoin(url, to)
                continue
            return _read(response, url, end)
    raise OptionError(f"The address {url} redirects more than {REDIRECTS} times.")


def refuse_private(url: str, remedy: str) -> None:
    """Raise an `OptionError` where the text of an address says that it is private."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        refused = not _public(host)
    except ValueError:  # a name
        refused = host == OURS[0] or host.endswith(OURS[1:]) or "." not in host
    if refused:
        raise OptionError(f"{url} is an address of this machine or its network.", remedy)


def _public(address: str) -> bool:
    """Whether an IP address is of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour
        if within is None and any(ip in network for network in TRANSLATED):
            within = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if within is not None:
            return _public(str(within))
        if ip.is_site_local:  # not global, though Python says so
            return False
    return ip.is_global and not ip.is_multicast


TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""IPv6 addresses that stand for the IPv4 address they end in (RFC 6052, RFC 4291)."""
GIVE_FILE = "A notebook is not to reach into your network. Download it, and give the file."


def _opened(url: str, end: float, *, private: bool) -> Any:
    if not private:
        refuse_private(url, GIVE_FILE)
    parts = urlsplit(url)
    proxied = parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(
        parts.hostname or ""
    )
    own = () if proxied else (urllib.request.ProxyHandler({}), _Plain(private), _Secure(private))
    opener = urllib.request.build_opener(_Stay, *own)
    asked = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept": "image/*"})  # noqa: S310 - checked_url
    try:
        return opener.open(asked, timeout=max(0.1, end - time.monotonic()))
    except urllib.error.HTTPError as error:
        if error.code in MOVED:
            return error
        error.close()
        kind = Unreachable if error.code >= 500 or error.code == 429 else OptionError
        raise kind(f"{url} was answered with {error.code} {error.reason}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> OptionError | Unreachable:
    reason = getattr(error, "reason", error)
    if isinstance(reason, _Private):
        return OptionError(
            f"{url} is at {reason}, an address of this machine or its network.", GIVE_FILE
        )
    if isinstance(reason, ssl.SSLCertVerificationError):
        return OptionError(f"The certificate of {url} is not right: {reason.verify_message}.")
    said = "it took too long" if isinstance(reason, TimeoutError) else reason
    return Unreachable(f"{url} could not be fetched: {said}.", "Try again, or give a file.")


def _read(response: Any, url: str, end: float) -> bytes:
    data = bytearray()
    checked = False
    try:
        while piece := response.read1(1 << 16):  # what has come, not what would fill it
            data += piece
            if not checked and len(data) >= sniff.HEAD:
                _check(data, response, url)
                checked = True
            if len(data) > LARGEST:
                raise OptionError(f"{url} is larger than {LARGEST >> 20} MB.")
            if time.monotonic() > end:
                raise TimeoutError
        if response.length:
            raise ConnectionError(f"it broke off with {response.length:,} bytes to come")
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, error) from error
    _check(data, response, url)
    return bytes(data)


def _check(data: bytearray, response: Any, url: str) -> None:
    """Refuse what is not an image, if it can be before the rest of it has come."""
    try:
        sniff.image_format(bytes(data[: sniff.HEAD]), url)
    except OptionError as error:
        said = response.headers.get_content_type()
        raise OptionError(f"{error.problem} The server calls it {said}.", error.remedy) from None


class _Private(OSError):
    """A name that leads to an address of this machine or its network."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: each is checked first."""

    def redirect_request(self, *_: object) -> None:
        return None


def _connected(host: str, port: int, timeout: Any, *, private: bool) -> socket.socket:
    """Connect to an address that was checked: a name could lead elsewhere the second time."""
    last: OSError | None = None
    for family, kind, proto, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not private and not _public(str(place[0])):
            raise _Private(place[0])
        connection = socket.socket(family, kind, proto)
        try:
            connection.settimeout(timeout)
            connection.connect(place)
        except OSError as error:
            connection.close()
            last = error
        else:
            return connection
    raise last or OSError("no address")


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, private: bool) -> None:
        super().__init__()
        self._private = private

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        private = self._private

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                self.sock = _connected(self.host, self.port, self.timeout, private=private)

        return self.do_open(Connection, req)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, private: bool) -> None:
        super().__init__()
        self._private = private

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        private = self._private

        class Connection(http.client.HTTPSConnection):
            def connect(self) -> None:
                plain = _connected(self.host, self.port, self.timeout, private=private)
                context = ssl.create_default_context()
                self.sock = context.wrap_socket(plain, server_hostname=self.host)

        return self.do_open(Connection, req)
