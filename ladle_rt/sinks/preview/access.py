"""Who may see the page.

On localhost everybody who can reach it, under a local name: a page of the web that points a name
of its own at 127.0.0.1 (DNS rebinding) is refused. On any other address whoever knows the token.
Buttons need a header that no foreign page can send.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ladle_rt.errors import ConfigError

COOKIE = "ladle_rt_token"
BUTTON_HEADER = "X-Ladle-Rt"
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action "
    "'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class PreviewAddress:
    """Where the page is served."""

    host: str
    port: int
    """0 takes any free one."""

    @classmethod
    def parse(cls, text: str) -> PreviewAddress:
        """From ``[HOST:]PORT``; an IPv6 host is written in brackets.

        Raises:
            ConfigError: not of that form.
        """
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (port.isdecimal() and int(port) < 65_536):
            raise ConfigError(f"preview must be [HOST:]PORT such as 8080, received {text!r}")
        return cls(host or "127.0.0.1", int(port))

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def url(self, port: int, token: str | None) -> str:
        """What a person opens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}/" + (f"?token={token}" if token else "")


def guard(token: str | None, local: bool) -> Middleware:
    """The middleware that lets requests in or not, and adds the headers."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refusal(request, token, local)
        if refusal is not None:
            return web.Response(status=403, text=refusal + "\n", headers=HEADERS)
        if token is not None and "token" in request.query and request.method == "GET":
            response: web.StreamResponse = web.Response(
                status=302, headers={"Location": request.path}
            )
            response.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = web.Response(status=error.status, text=error.reason + "\n")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return check


def _refusal(request: web.Request, token: str | None, local: bool) -> str | None:
    name = request.host.rpartition(":")[0] if request.host[-1:] != "]" else request.host
    name = (name or request.host).strip("[]")
    if local and token is None and name not in LOCAL_NAMES:
        return f"this page is for this machine; open it as http://localhost, not as {name}"
    if token is not None and not _knows(request, token):
        return "this page needs the token that ladle-rt printed: open the whole address"
    if request.method == "POST":
        origin = request.headers.get("Origin")
        foreign = origin is not None and origin.partition("://")[2] != request.host
        if foreign or BUTTON_HEADER not in request.headers:
            return "buttons work from the page itself only"
    return None


def _knows(request: web.Request, token: str) -> bool:
    offered = (
        request.query.get("token"),
        request.cookies.get(COOKIE),
        request.headers.get("Authorization", "").removeprefix("Bearer "),
    )
    return any(one and hmac.compare_digest(one.encode(), token.encode()) for one in offered)
