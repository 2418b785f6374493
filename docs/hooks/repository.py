"""Pages made of files outside docs/: the README becomes the front page, CONTRIBUTING.md and CHANGELOG.md join, and
every file that a page links to, such as an experiment or a model card, gets a page of its own: links work on the site
as they do in the repository.

Paths here are relative to the repository, with slashes; addresses are those of Markdown pages of the site.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
FRONT = "README.md"
LISTED = (FRONT, "CONTRIBUTING.md", "CHANGELOG.md")  # in the site's navigation, linked to or not
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sh": "bash"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the front page and the pages of files that are linked to."""
    waiting = [*LISTED, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            files.append(File.generated(config, address(path), content=content(path)))
        if path.endswith(".md"):
            found = {target for link in LINK.findall((ROOT / path).read_text()) if (target := resolved(path, link))}
            waiting += {target for target in found - seen if not target.startswith("docs/")}
            seen |= found
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to files of the repository to their pages."""
    path = origin(page.file.src_uri)

    def pointed(link: re.Match) -> str:
        target = resolved(path, link[1])
        return posixpath.relpath(address(target), posixpath.dirname(page.file.src_uri)) if target else link[1]

    return LINK.sub(pointed, markdown)


def resolved(path: str, link: str) -> str | None:
    """What a link on the page of `path` leads to; None where that is no file of the repository."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return target if (ROOT / target).exists() else None


def address(path: str) -> str:
    """Where the site has a file: pages below docs/ at their places, others below files/."""
    if path == FRONT:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}" if path.endswith(".md") else f"files/{path}.md"


def origin(address: str) -> str:
    """The Markdown file that a page of the site is made of; what is no Markdown holds no links."""
    if address == "index.md":
        return FRONT
    return address.removeprefix("files/") if address.startswith("files/") else f"docs/{address}"


def content(path: str) -> str:
    """The Markdown of a file's page: its own, or a title and the file word for word; of a folder all its files."""
    if path.endswith(".md"):
        return (ROOT / path).read_text()
    parts = (
        sorted(file for file in (ROOT / path).rglob("*") if file.is_file()) if (ROOT / path).is_dir() else [ROOT / path]
    )
    listed = [f"# {posixpath.basename(path)}"]
    for part in parts:
        listed += [
            f"`{part.relative_to(ROOT).as_posix()}`",
            f"~~~~{LANGUAGES.get(part.suffix, 'text')}\n{part.read_text()}\n~~~~",
        ]
    return "\n\n".join(listed)
