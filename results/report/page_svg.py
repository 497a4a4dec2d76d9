"""An SVG as the page carries it: without what nobody sees, and with ink and paper of the reader's colour scheme."""

from __future__ import annotations

import re
from urllib.parse import quote

DARK = {
    "#1c2733": "#e3e8ee",  # ink
    "#5b6773": "#a3afbb",  # muted
    "#d9dee3": "#38434e",  # faint
    "#ffffff": "#14191f",  # paper
    "#0072b2": "#56a8e0",
    "#d55e00": "#ff8a4c",
    "#009e73": "#3cc9a0",
    "#aa4499": "#d98ccd",
    "#882255": "#d573a3",
    "#8c6d1f": "#c9a755",
    "#000000": "#f2f5f8",
}
"""The colours of `results.plots` that would be lost on dark paper, and what stands for them there."""
_COLOUR = re.compile(rb"#(?:" + b"|".join(colour[1:].encode() for colour in DARK) + rb")\b", re.IGNORECASE)
_UNSEEN = re.compile(rb"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", re.DOTALL)
_PLAIN = " !$'()*+,-./:;=?@[]^_`{|}~"
_ROOT_END = re.compile(rb"<svg[^>]*>")


def follows_colour_scheme(svg: bytes) -> bytes:
    """The same drawing with every colour of `DARK` as a variable that the reader's colour scheme sets."""

    def variable(found: re.Match[bytes]) -> bytes:
        colour = found[0].lower()
        return b"var(--c" + colour[1:] + b"," + colour + b")"

    body = _COLOUR.sub(variable, svg)
    values = ";".join(f"--c{light[1:]}:{dark}" for light, dark in DARK.items())
    style = f"<style>@media (prefers-color-scheme: dark){{svg{{{values}}}}}</style>".encode()
    return _ROOT_END.sub(lambda found: found[0] + style, body, count=1)


def data_uri(svg: bytes) -> str:
    """The drawing as an address that fits into an attribute: no quote, angle bracket or ampersand stands in it unescaped."""
    small = b" ".join(_UNSEEN.sub(b"", svg).split()).replace(b"> <", b"><").replace(b'"', b"'")
    return f"data:image/svg+xml;charset=utf-8,{quote(follows_colour_scheme(small), safe=_PLAIN)}"
