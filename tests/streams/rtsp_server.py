"""A real RTSP server for tests, run by a Python that has GStreamer's bindings.

Usage: rtsp_server.py PORT [USER PASSWORD]; serves /thermal, /h265 where x265enc is there,
and accepts recordings at /in.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PATTERN = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=128,framerate=30/1 ! "
    "videobalance saturation=0 ! videoconvert ! video/x-raw,format=I420 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96"
)

Gst.init(None)
server = GstRtspServer.RTSPServer(service=sys.argv[1], address="127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory(launch=PATTERN, shared=True)
if len(sys.argv) > 2:
    user, password = sys.argv[2:4]
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    basic = GstRtspServer.RTSPAuth.make_basic(user, password)
    auth.add_basic(basic, token)
    server.set_auth(auth)
    factory.add_role_from_structure(
        Gst.Structure.new_from_string(
            "user,media.factory.access=true,media.factory.construct=true"
        )[0]
        if isinstance(Gst.Structure.new_from_string("user"), tuple)
        else Gst.Structure.new_from_string(
            "user,media.factory.access=(boolean)true,media.factory.construct=(boolean)true"
        )
    )
points = server.get_mount_points()
points.add_factory("/thermal", factory)
if Gst.ElementFactory.find("x265enc"):
    h265 = PATTERN.replace("x264enc", "x265enc").replace("rtph264pay", "rtph265pay")
    points.add_factory("/h265", GstRtspServer.RTSPMediaFactory(launch=h265, shared=True))
taking = GstRtspServer.RTSPMediaFactory(
    launch="( rtph264depay name=depay0 ! h264parse ! fakesink sync=false )"
)
taking.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
points.add_factory("/in", taking)
if not server.attach(None):
    sys.exit("the port is taken")
print("ready", flush=True)
GLib.MainLoop().run()
