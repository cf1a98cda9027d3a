"""The page: a document as escaped JSON in a template, with its styles and scripts, as one file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

WEB = Path(__file__).with_name("web")
#: What would end the element that the JSON stands in, or a line of a script.
ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page(document: dict[str, Any]) -> str:
    """The whole page: each {{name}} of page.html is that file of web/, and {{trace}} the document."""

    def put(found: re.Match[str]) -> str:
        name = found[1]
        return escaped(document) if name == "trace" else (WEB / name).read_text(encoding="utf-8")

    return re.sub(r"\{\{([\w.]+)\}\}", put, (WEB / "page.html").read_text(encoding="utf-8"))


def escaped(document: dict[str, Any]) -> str:
    """JSON that can stand in a <script> element: nothing in it is markup, and no number is NaN."""
    return json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False).translate(ESCAPED)
