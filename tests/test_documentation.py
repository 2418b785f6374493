"""The documentation: it builds without a warning, its generated pages are complete, a reader fetches nothing from
elsewhere, and its commands and YAML are ones that hsc takes."""

import dataclasses
import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import typer.main
import yaml
from test_api_examples import VERBS
from test_readme import ROOT, blocks, parse

from hsc.cli import app
from hsc.config import schema
from hsc.config.schema import Config
from hsc.config.validation import build

DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", *DOCS]
NAMED_FILE = re.compile(r"\b(?:hsc|tests|benchmarks|experiments|sweeps|docs)/[\w/.-]+\.(?:py|yaml|sh|json|md|txt)\b")
WIDTH = 120
FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?https?:[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a warning, such as of a broken link or anchor, ends the build."""
    pytest.importorskip("mkdocs", reason="needs the docs extra: make env")
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
        assert config.strict
        config.plugins.on_startup(command="build", dirty=False)
        build_site(config)
    return folder


def test_nothing_is_fetched_by_a_reader(site: Path):
    for page in site.rglob("*.html"):
        assert not FETCHED.findall(page.read_text()), page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:", sheet.read_text()), sheet.name


def test_the_readme_is_the_front_page_and_its_links_lead_to_pages(site: Path):
    front = (site / "index.html").read_text()
    assert 'href="getting-started.html"' in front
    assert 'href="files/LICENSE.html"' in front
    assert (site / "files" / "experiments" / "finetune.yaml.html").is_file()


def test_every_verb_and_option_is_on_the_page(site: Path):
    page = (site / "command-line.html").read_text()
    pending = [("hsc", typer.main.get_command(app))]
    while pending:
        name, command = pending.pop()
        assert f"<code>{name}</code>" in page, name
        pending += [(f"{name} {verb}", below) for verb, below in getattr(command, "commands", {}).items()]
        for option in (word for parameter in command.params for word in parameter.opts if word.startswith("--")):
            assert option in page, f"{name} {option}"
    assert "\x08" not in page


def test_every_field_is_on_the_page(site: Path):
    page = (site / "experiment.html").read_text()
    kinds = [kind for name, kind in vars(schema).items() if name.endswith("Config") and dataclasses.is_dataclass(kind)]
    assert len(kinds) > 5
    for kind in kinds:
        for field in dataclasses.fields(kind):
            assert f"<dt><code>{field.name}</code> <em>" in page, f"{kind.__name__}.{field.name}"
    assert "<code>steps</code> <em>a whole number from 1 to 1000000000; default: <code>1000</code></em></dt>" in page


def test_the_python_interface_shows_every_verb(site: Path):
    page = (site / "api.html").read_text()
    for verb in VERBS:
        assert f'id="hsc.codec.Codec.{verb}"' in page
    assert "Parameters:" in page, "sections of docstrings are read as such"


@pytest.mark.parametrize("page", PAGES)
def test_files_named_exist(page: str):
    named = set(NAMED_FILE.findall((ROOT / page).read_text()))
    assert not {name for name in named if not (ROOT / name).exists()}


@pytest.mark.parametrize("page", PAGES)
def test_fields_named_exist(page: str):
    """Of words such as `model.lambdas` or `stages.joint.steps`, in the text and in commands."""
    named = re.findall(
        r"(?<![\w/])(?:model|judges|logging|defaults|stages)(?:\.\w+)+(?=[`=:])", (ROOT / page).read_text()
    )
    assert not {name for name in named if not names_a_field(name.split("."))}


def names_a_field(place: list[str], kind: Any = Config) -> bool:
    """Whether the path leads to a field below a section; names of layers and stages are free."""
    if not place:
        return True
    if not dataclasses.is_dataclass(kind):
        return get_origin(kind) is dict and names_a_field(place[1:], get_args(kind)[1])
    hints = get_type_hints(kind)
    return place[0] in hints and names_a_field(place[1:], hints[place[0]])


@pytest.mark.parametrize("page", PAGES)
def test_python_names_exist(page: str):
    """Of `hsc.module.name` in the text, and of what Python examples import from hsc."""
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?<=[`\s])hsc(?:\.\w+)+(?=[`(])|(?<=^::: )hsc[\w.]+", text, re.M))
    for module, names in re.findall(r"^from (hsc[\w.]*) import (.+)$", text, re.M):
        named |= {f"{module}.{name.strip()}" for name in names.split(",")}
    for name in sorted(named):
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", PAGES)
def test_prose_fits_a_page(page: str):
    """What can wrap does, pictures' texts aside; a table has no more columns than fit."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", (ROOT / page).read_text(), flags=re.M | re.S)
    table = {line for line in text.splitlines() if line.lstrip().startswith("|")}
    prose = [line for line in text.splitlines() if line not in table and not line.startswith("![")]
    assert not [line for line in prose if len(line) > WIDTH and " " in line]
    assert not [row for row in table if row.count(" | ") > 7]


@pytest.mark.parametrize("page", DOCS)
def test_commands_are_ones_that_hsc_takes(page: str):
    for line in (line for block in blocks(page, "bash") for line in block.replace("\\\n", "").splitlines()):
        words = shlex.split(line, comments=True)
        if words and words[0] == "hsc":
            parse(words)
        assert all((ROOT / word).is_file() for word in words if NAMED_FILE.fullmatch(word)), line


@pytest.mark.parametrize("page", PAGES)
def test_yaml_has_fields_that_exist(page: str):
    for block in blocks(page, "yaml"):
        build(Config, {"name": "documented"} | yaml.safe_load(block))
