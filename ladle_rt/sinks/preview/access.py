"""Who may see the page.

On localhost everybody who can reach it, under a local name: a page of the web that points a name
of its own at 127.0.0.1 (DNS rebinding) is refused. On any other address whoever knows the token.
Buttons need a header that no foreign page can send.
"""

from __future__ import annotations

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ladle_rt.errors import LadleError
from ladle_rt.sinks.preview.address import is_loopback

BUTTON_HEADER = "X-Ladle-Rt"
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


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For every answer, streams included."""
    response.headers.update(HEADERS)


def cookie_name(port: int) -> str:
    """Browsers share cookies among the ports of a host: each page has one of its own."""
    return f"ladle_rt_{port}"


def guard(token: str | None, local: bool, port: int) -> Middleware:
    """The middleware that lets requests in or not, and answers for what went wrong.

    Args:
        token: what a visitor must know; ``None``: nothing.
        local: only this machine can reach the page.
        port: where it is served.
    """
    cookie = cookie_name(port)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refusal(request, token, local, cookie)
        if refusal is not None:
            response: web.StreamResponse = web.Response(status=403, text=refusal + "\n")
        elif token is not None and "token" in request.query and request.path == "/":
            # Out of the address bar and the history. Lax, because a link in a chat comes from
            # another site, and Strict would keep the cookie from the page it leads to.
            response = web.Response(status=302, headers={"Location": "/"})
            response.set_cookie(cookie, token, httponly=True, samesite="Lax")
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = web.Response(status=error.status, text=error.reason + "\n")
            except LadleError as error:
                response = web.json_response({"error": str(error)}, status=409)
        if not response.prepared:
            response.force_close()
        return response

    return check


def _refusal(request: web.Request, token: str | None, local: bool, cookie: str) -> str | None:
    # Not request.host, which asks the name service where the header is missing.
    host = request.headers.get("Host", "")
    if local and token is None and not is_loopback(_name(host)):
        shown = ascii(_name(host))
        return f"this page is for this machine; open it as http://localhost, not as {shown}"
    if token is not None and not _knows(request, token, cookie):
        return "this page needs the token that ladle-rt printed: open the whole address"
    if request.method == "POST":
        origin = request.headers.get("Origin")
        foreign = origin is not None and origin.partition("://")[2] != host
        if foreign or BUTTON_HEADER not in request.headers:
            return "buttons work from the page itself only"
    return None


def _name(host: str) -> str:
    """A Host header without its port."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).removeprefix("[").removesuffix("]")


def _knows(request: web.Request, token: str, cookie: str) -> bool:
    offered = (
        request.query.get("token"),
        request.cookies.get(cookie),
        request.headers.get("Authorization", "").removeprefix("Bearer "),
    )
    # Headers that are not UTF-8 come with surrogates.
    return any(
        hmac.compare_digest(one.encode(errors="surrogateescape"), token.encode())
        for one in offered
        if one
    )
