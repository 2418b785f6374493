"""The documentation: it builds without a warning, its generated pages are complete, readers fetch nothing from
other sites, and hsc accepts its commands and YAML.

Commands are parsed by the real command line, with all their options, up to the point where the verb would begin its
work; those of the README are run in test_readme_runs.py.
"""

import dataclasses
import pkgutil
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import typer.main
import yaml
from test_api_examples import VERBS

from hsc.cli import app
from hsc.config import load, schema
from hsc.config.schema import Config
from hsc.config.validation import build
from hsc.data.examples import write_examples

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", *DOCS]
NAMED_FILE = re.compile(r"\b(?:hsc|tests|benchmarks|experiments|sweeps|docs)/[\w/.-]+\.(?:py|yaml|sh|json|md|txt)\b")
WIDTH = 120
WORKS = ["README.md", "docs/getting-started.md"]
"""pages whose experiments, and files that they show, belong together"""
FETCHED = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?https?:[^>]*>")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def commands(page: str) -> list[str]:
    """Lines of a page's Bash blocks; a line continued on the next one is joined with it."""
    return [line for block in blocks(page, "bash") for line in block.replace("\\\n", "").splitlines()]


def parse(arguments: list[str]) -> None:
    """Parse a line as `hsc` would, down to the verb; wrong usage raises the parser's exception."""
    command, context = typer.main.get_command(app), None
    while True:
        context = command.make_context(arguments[0], arguments[1:], parent=context)
        if not hasattr(command, "commands") or not (rest := context._protected_args + context.args):
            return
        command, arguments = command.commands[rest[0]], rest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a warning, such as for a broken link or anchor, fails the build."""
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
    """Fields such as `model.lambdas` or `stages.joint.steps`, in the text and in commands."""
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
    """Names such as `hsc.module.name` in the text, and names that Python examples import from hsc."""
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?<=[`\s])hsc(?:\.\w+)+(?=[`(])|(?<=^::: )hsc[\w.]+", text, re.M))
    for module, names in re.findall(r"^from (hsc[\w.]*) import (.+)$", text, re.M):
        named |= {f"{module}.{name.strip()}" for name in names.split(",")}
    for name in sorted(named):
        pkgutil.resolve_name(name)


@pytest.mark.parametrize("page", PAGES)
def test_prose_fits_a_page(page: str):
    """Lines that can wrap do, except for the alt texts of images; a table has no more columns than fit."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", (ROOT / page).read_text(), flags=re.M | re.S)
    table = {line for line in text.splitlines() if line.lstrip().startswith("|")}
    prose = [line for line in text.splitlines() if line not in table and not line.startswith("![")]
    assert not [line for line in prose if len(line) > WIDTH and " " in line]
    assert not [row for row in table if row.count(" | ") > 7]


def test_a_wrong_command_would_be_noticed():
    for wrong in ("hsc encode face.png --bogus 1", "hsc decode", "hsc bogus", "hsc prior bogus"):
        with pytest.raises((typer.TyperException, KeyError)):
            parse(shlex.split(wrong))


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_ones_that_hsc_takes(page: str):
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for line in commands(page):
        words = shlex.split(line, comments=True)
        assert all((ROOT / word).is_file() for word in words if NAMED_FILE.fullmatch(word)), line
        match words:
            case ["hsc", *_]:
                parse(words)
            case ["make", *targets]:
                subprocess.run(["make", "-n", *targets], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
            case ["pip", "install", "-c", "constraints.txt", *packages]:
                pinned = (ROOT / "constraints.txt").read_text().split()
                assert all(word in pinned for word in packages if "==" in word), line
                extras = [extra for word in packages for extra in re.findall(r"\w+", word) if "[" in word]
                assert set(extras) <= known.keys(), line


def test_train_commands_name_experiments_and_fields_that_exist(tmp_path: Path):
    """With the YAML shown on the same pages in place of the user's own file."""
    shown = {}
    for block in (block for page in WORKS for block in blocks(page, "yaml")):
        name = block.splitlines()[0].removeprefix("# ")
        shown[name] = tmp_path / name
        shown[name].write_text(block)
    lines = [shlex.split(line)[2:] for page in WORKS for line in commands(page) if line.startswith("hsc train")]
    assert lines
    for words in lines:
        files = [shown.get(word, ROOT / word) for word in words if "=" not in word]
        load(files, [word for word in words if "=" in word])


def test_the_readme_s_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_examples(Path("examples"))
    (example,) = blocks("README.md", "python")
    exec(example, {})
    assert capsys.readouterr().out.strip().endswith("bytes")
    assert {path.name for path in tmp_path.glob("*.png")} == {"basic.png", "middle.png", "enhanced.png"}


def test_the_readme_names_every_verb():
    text = (ROOT / "README.md").read_text()
    for verb in typer.main.get_command(app).commands:
        assert f"hsc {verb}" in text


@pytest.mark.parametrize("page", PAGES)
def test_yaml_has_fields_that_exist(page: str):
    for block in blocks(page, "yaml"):
        build(Config, {"name": "documented"} | yaml.safe_load(block))
