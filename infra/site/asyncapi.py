"""An AsyncAPI document as Markdown: channels, operations, messages with headers, bodies and examples, and servers.

Knows of AsyncAPI 3 and JSON Schema what the product's own documents use.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_LIMITS: Final = ("pattern", "format", "minimum", "exclusiveMinimum", "maximum", "maxLength", "default", "const")


def reference(path: Path) -> str:
    """Return the Markdown of the document in a YAML file; references to other files are relative to it."""
    return "\n".join(_Reader(path).lines())


class _Reader:
    """Resolves references while it writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._documents: dict[Path, Any] = {}
        self._root = self._document(path)

    def lines(self) -> Iterator[str]:
        info = self._root["info"]
        yield f"AsyncAPI {self._root['asyncapi']}, {info['title']} {info['version']}. {info['description']}"
        yield "\n## Channels\n\n| subject | what | message | stream |\n|---|---|---|---|"
        for channel in self._root["channels"].values():
            messages = ", ".join(_link(self._at(message)["title"]) for message in channel["messages"].values())
            stream = f"`{channel['x-jetstream']['stream']}`"
            yield f"| `{channel['address']}` | {channel['title']}. {channel['description']} | {messages} | {stream} |"
        yield "\n## Operations\n\n| the service | subject | what |\n|---|---|---|"
        for operation in self._root["operations"].values():
            verb = {"receive": "receives from", "send": "sends to"}[operation["action"]]
            said = f"{operation['title']}. {operation.get('description', '')}".rstrip()
            yield f"| {verb} | `{self._at(operation['channel'])['address']}` | {said} |"
        for message in self._root["components"]["messages"].values():
            yield from self._message(message)
        yield "\n## Servers\n"
        for name, server in self._root["servers"].items():
            yield f"`{name}`, {server['protocol']}: {server['title']}. {server['description']} How to sign in:\n"
            for scheme in map(self._at, server["security"]):
                yield f"- {scheme['type']}: {scheme['description']}"

    def _message(self, message: Mapping[str, Any]) -> Iterator[str]:
        yield f"\n## {message['title']}\n\n`{message['name']}`, {message['contentType']}."
        yield f"{message.get('description', '')}\n"
        yield f"### Headers of {message['name']}\n"
        yield from self._properties(self._whole(message["headers"], self._path), self._path)
        payload = message["payload"]
        yield f"\n### Body of {message['name']}\n"
        if "schema" not in payload:
            yield payload["description"]
            return
        file = self._path.parent / payload["schema"]["$ref"]
        schema = self._document(file)
        yield f"{schema['description']} As JSON Schema: [{file.name}]({payload['schema']['$ref']}).\n"
        yield from self._properties(schema, file)
        for example in schema.get("examples", ()):
            yield f"\n```json\n{json.dumps(example, indent=2)}\n```"

    def _properties(self, schema: Mapping[str, Any], file: Path) -> Iterator[str]:
        """Yield a table of an object's properties."""
        required = schema.get("required", ())
        if "description" in schema and file == self._path:
            yield f"{schema['description']}\n"
        yield "| name | type | meaning |\n|---|---|---|"
        for name, declared in schema["properties"].items():
            whole = self._whole(declared, file)
            kind = f"{self._kind(whole, file)}{', required' if name in required else ''}"
            yield f"| `{name}` | {kind} | {_cell(whole.get('description', ''))} |"
        for pattern, declared in schema.get("patternProperties", {}).items():
            yield f"| matching `{pattern}` | {self._kind(declared, file)} | {_cell(declared.get('description', ''))} |"

    def _kind(self, schema: Mapping[str, Any], file: Path) -> str:
        """Return in words which values are allowed."""
        if "anyOf" in schema:
            return " or ".join(self._kind(self._whole(one, file), file) for one in schema["anyOf"])
        if "enum" in schema:
            return " ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
        kinds = schema.get("type", "any")
        words = " or ".join(kinds) if isinstance(kinds, list) else kinds
        limits = [f"{name} `{_cell(str(schema[name]))}`" for name in _LIMITS if name in schema]
        inner = [f"`{name}`" for name in schema.get("properties", ())]
        return ", ".join([words, *limits] + ([f"of {', '.join(inner)}"] if inner else []))

    def _whole(self, schema: Mapping[str, Any], file: Path) -> dict[str, Any]:
        """Return a schema with what it refers to; what it says itself counts."""
        return (self._at(schema, file) if "$ref" in schema else {}) | dict(schema)

    def _at(self, referring: Mapping[str, Any], file: Path | None = None) -> dict[str, Any]:
        """Return what a reference leads to, through any number of them."""
        found: Any = self._document(file or self._path)
        for word in referring["$ref"].removeprefix("#/").split("/"):
            found = found[word]
        return self._at(found, file) if "$ref" in found else dict(found)

    def _document(self, path: Path) -> Any:  # noqa: ANN401 - JSON
        if path not in self._documents:
            self._documents[path] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return self._documents[path]


def _link(title: str) -> str:
    return f"[{title}](#{title.lower().replace(' ', '-')})"


def _cell(text: str) -> str:
    """Return a text that does not end a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")
