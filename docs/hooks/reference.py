"""What the reference takes from the code when the site is built: the command line in the place of `{{ commands }}`, the
fields of an experiment in the place of `{{ experiment }}`."""

import re
import textwrap
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import griffe
import omegaconf
import typer
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from hsc.cli import app
from hsc.config import schema
from hsc.config.ranges import Range

TYPES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", NoneType: "null"}
DOCSTRINGS = griffe.load("hsc.config.schema")
SUMMARIES = re.compile(r"\*\*Commands\*\*:\n\n(\* .*\n)+\n")  # cut short, where the whole follows
EXAMPLES = re.compile(r"\x08\nExamples?:\n((?: +.*\n)+)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is generated."""
    generated = {
        "commands": commands,
        "experiment": lambda: sections(schema.Config),
    }
    for name, generate in generated.items():
        if (place := f"{{{{ {name} }}}}") in markdown:
            markdown = markdown.replace(place, generate())
    return markdown


def commands() -> str:
    """Every verb with its arguments, options and examples."""
    command = typer.main.get_command(app)
    listed = get_docs_for_click(obj=command, ctx=typer.Context(command), name="hsc", indent=1)

    def fenced(examples: re.Match) -> str:
        return f"**Examples**:\n\n```bash\n{textwrap.dedent(examples[1])}```\n"

    return EXAMPLES.sub(fenced, SUMMARIES.sub("", listed))


def sections(kind: type) -> str:
    """A file's fields, section by section."""
    return "\n\n".join(section(place, kind) for place, kind in ({"Top level": kind} | dict(nested(kind, ""))).items())


def nested(kind: type, place: str) -> list[tuple[str, type]]:
    """The sections below one, each once: `stages.NAME` is also what `defaults` is."""
    found: list[tuple[str, type]] = []
    for name, hint in get_type_hints(kind).items():
        inner = [part for part in (hint, *get_args(hint)) if is_dataclass(part)]
        for part in inner if name != "defaults" else []:
            below = f"{place}{name}" + {dict: ".NAME", list: "[]"}.get(get_origin(hint), "")
            found += [(below, part), *nested(part, f"{below}.")]
    return found


def section(place: str, kind: type) -> str:
    """One section's title, what it is, and a definition list of its fields."""
    documented = DOCSTRINGS[kind.__name__]
    hints = get_type_hints(kind, include_extras=True)
    parts = [f"### {place if place == 'Top level' else f'`{place}`'}", documented.docstring.value]
    for entry in fields(kind):
        docstring = documented[entry.name].docstring or DOCSTRINGS[hints[entry.name].__name__].docstring
        parts.append(f"`{entry.name}` *{words(hints[entry.name])}{default(entry)}*\n:   {one_line(docstring.value)}")
    return "\n\n".join(parts)


def words(hint: Any) -> str:
    """A type as a reader of YAML would say it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        ranges = "".join(f" {extra}" for extra in inner[1:] if isinstance(extra, Range))
        return words(inner[0]) + ranges
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(words(part) for part in inner)
    if origin is list:
        return f"a list, each {words(inner[0])}"
    if origin is dict:
        return f"a mapping of names to {words(inner[1])}"
    if is_dataclass(hint):
        return "a section"
    return TYPES.get(hint, "anything")


def default(entry: Field) -> str:
    """`; default: 1`, as YAML writes it in one line."""
    value = entry.default if entry.default_factory is MISSING else entry.default_factory()
    if value is MISSING or value == omegaconf.MISSING:
        return "; must be given"
    if is_dataclass(value):
        return ""
    if isinstance(value, dict):
        value = {name: asdict(part) if is_dataclass(part) else part for name, part in value.items()}
    written = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True)
    return f"; default: `{written.removesuffix('...' + chr(10)).strip()}`"


def one_line(text: str) -> str:
    return " ".join(text.split())
