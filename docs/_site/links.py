"""Links out of the site and between the repository's other Markdown files.

In the site, a link to a file of the repository that is no page becomes one to the repository on the web, once it is known
that the file is there. `dead` finds the links of any Markdown file that lead nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)

#: A link or image, outside of code.
LINK = re.compile(r"(?<=\]\()([^()\s]+)(?=\))")
CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def _without_code(text: str) -> str:
    return CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def anchors(text: str) -> set[str]:
    """The anchors of a file's headings, as web hosts of repositories make them."""
    bare = re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for title in re.findall(r"^#+ (.*)$", bare, re.MULTILINE):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        number = 0
        while (name := slug if not number else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found | set(re.findall(r"^\(([\w-]+)\)=$", bare, re.MULTILINE))


def problem(link: str, file: Path, root: Path) -> str | None:
    """Why the link in that file leads nowhere, or None."""
    url = urlsplit(link)
    if url.scheme:
        if url.scheme not in ("https", "mailto"):
            return f"{link}: neither https nor a file of the repository"
        if url.scheme == "https" and not re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", url.netloc):
            return f"{link}: {url.netloc or 'nothing'} is no host"
        return None
    target = file if not url.path else (file.parent / unquote(url.path)).resolve()
    if not target.is_relative_to(root) or not target.exists():
        return f"{link}: there is no such file"
    if url.fragment and target.suffix == ".md" and url.fragment not in anchors(target.read_text()):
        return f"{link}: {target.relative_to(root)} has no such heading"
    return None


def dead(file: Path, root: Path) -> list[str]:
    links = LINK.findall(_without_code(file.read_text()))
    return [found for link in links if (found := problem(link, file.resolve(), root.resolve()))]


def _source_read(app: Sphinx, name: str, source: list[str]) -> None:
    docs = Path(app.srcdir).resolve()
    root = docs.parent
    file = Path(app.env.doc2path(name)).resolve()
    web = app.config.html_theme_options["source_repository"]

    def rewritten(found: re.Match) -> str:
        link = found[0]
        url = urlsplit(link)
        if not url.scheme and not url.path:
            return link
        if wrong := problem(link, file, root):
            log.warning(f"dead link {wrong}", location=name)
            return link
        if url.scheme:
            return link
        target = (file.parent / unquote(url.path)).resolve()
        if target.is_relative_to(docs) and target.suffix == ".md":
            return link
        kind = "tree" if target.is_dir() else "blob"
        fragment = f"#{url.fragment}" if url.fragment else ""
        return f"{web}/{kind}/main/{target.relative_to(root)}{fragment}"

    bare, parts, last = _without_code(source[0]), [], 0
    for found in LINK.finditer(bare):
        parts += [source[0][last : found.start()], rewritten(found)]
        last = found.end()
    source[0] = "".join([*parts, source[0][last:]])


def setup(app: Sphinx) -> dict:
    app.connect("source-read", _source_read, priority=600)
    return {"version": "1", "parallel_read_safe": True}
