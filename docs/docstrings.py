"""Docstrings, which are plain text written for `help()`, as pages show them; and signatures that one can read."""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils.nodes import Text
from sphinx.addnodes import desc_annotation

MADE = {"request", "messages", "fit", "asked", "plan", "engine"}  # a class that has one is answered, never called
ARRAY = re.compile(r"~?(?:numpy\.)?ndarray\[(?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*\]")


def as_rst(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Prose is escaped, what is said of single arguments becomes a list, indented text and examples stay as set."""
    known = _arguments(obj)
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip("\n"))
    lines[:] = [line for block in blocks for line in _block(block, known)]


def short_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, answer: str | None
) -> tuple[str | None, str | None]:
    """No arguments of a class that only the package makes; arrays without their shapes and types."""
    if what == "class" and MADE & _arguments(obj):
        return "", None
    return (ARRAY.sub("ndarray", signature) if signature else signature), answer


def short_types(app: Any, domain: str, kind: str, content: Any) -> None:
    """Arrays without their shapes and types also where properties are described."""
    for part in content.parent.findall(desc_annotation):
        if "ndarray[" in part.astext():
            part[:] = [Text(ARRAY.sub("ndarray", part.astext()))]


def _arguments(obj: Any) -> set[str]:
    try:
        return set(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        return set()


def _block(block: str, known: set[str]) -> list[str]:
    if block.startswith(">>>"):
        return _code("pycon", block)
    if items := _items(block, known):
        return [line for names, text in items for line in _item(names, text)] + [""]
    return _code("text", block) if re.search(r"^ ", block, re.MULTILINE) else [*_prose(block).split("\n"), ""]


def _code(kind: str, block: str) -> list[str]:
    return [f".. code-block:: {kind}", "", *(f"   {line}" for line in block.split("\n")), ""]


def _items(block: str, known: set[str]) -> list[tuple[str, str]]:
    """What is said of each argument, ("", text) for what stands before; none where a block tells of no argument."""
    items: list[tuple[str, str]] = []
    for line in block.split("\n"):
        begins = re.match(r"(\w+(?:, \w+)*): +(\S.*)", line)
        if begins and set(begins[1].split(", ")) <= known:
            items.append((begins[1], begins[2]))
        elif items:
            items[-1] = (items[-1][0], f"{items[-1][1]} {line.strip()}")
        else:
            items.append(("", line.strip()))
    return items if any(names for names, _ in items) else []


def _item(names: str, text: str) -> list[str]:
    if not names:
        return [_prose(text), ""]
    return [", ".join(f"**{name}**" for name in names.split(", ")), f"   {_prose(text)}", ""]


def _prose(text: str) -> str:
    """What stands between `backquotes` becomes code, everything else that sphinx would read as markup is escaped."""
    parts = re.split(r"`([^`]+)`", text)
    escaped = [re.sub(r"([*`|_\\])", r"\\\1", part) for part in parts[::2]]
    code = [f"\\ ``{part}``\\ " for part in parts[1::2]]
    return "".join(piece for pair in zip(escaped, [*code, ""], strict=True) for piece in pair)
