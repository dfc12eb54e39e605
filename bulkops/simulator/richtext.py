"""Rich text as the API knows it: plain.

DOC (_EntitiesOverview.htm): reads give plain text, a write puts plain text in the place of rich text and
images are gone. Records that were loaded or edited with markup are what somebody wrote in the interface.
INFER: how a list or a table is flattened; that markup which the API is sent is text like any other, or is
flattened too (switch `rich_text`).
"""

from __future__ import annotations

import html
import re

TAGS = (
    "a|b|big|blockquote|body|br|center|code|div|em|font|h[1-6]|head|hr|html|i|img|li|ol|p|pre|s|small|span|"
    "strike|strong|style|sub|sup|table|tbody|td|th|thead|tr|u|ul"
)
ATTRIBUTES = r"""(?:\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s<>"']+))*\s*"""  # else: a<b and c>d
TAG = re.compile(rf"</?(?:{TAGS}){ATTRIBUTES}/?>", re.IGNORECASE)
UNSEEN = re.compile(r"<(style|head)\b[^<>]*>.*?</\1>", re.IGNORECASE | re.DOTALL)
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
BLOCK = re.compile(rf"</?(?:div|p|ul|ol|li|tr|table|h[1-6]|blockquote|pre|hr){ATTRIBUTES}/?>", re.IGNORECASE)
CELL = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
EDGES = re.compile(r"[ \t]*\0[ \t\0]*")


def plain(text: str) -> str:
    """The text without markup; one that holds none is left as it is, `<` and `&` included."""
    while "<" in text and TAG.search(text):
        blocks = BLOCK.sub("\0", BREAK.sub("\n", CELL.sub(" ", UNSEEN.sub("", text.replace("\0", "")))))
        lines = EDGES.sub("\n", TAG.sub("", blocks))
        text = html.unescape(lines).replace("\xa0", " ").strip()
    return text
