"""Pages that the documentation site makes itself: the reference, and pages that live elsewhere in the repository.

Pages elsewhere (README, CONTRIBUTING, the validation report, the studies) keep the links that work in a checkout. On
the way into the site each relative link is turned into the site's own, or into plain text where the site has no such
page.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
import reference

ROOT = Path(__file__).resolve().parents[2]
#: files of the repository that are pages of the site
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "reports/validation.md": "evidence.md",
    "reports/published/README.md": "published.md",
}
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
PICTURES = (".png", ".svg", ".gif")


def moved() -> dict[str, str]:
    """Path in the repository to path in the site, of every page and picture that lives outside docs/."""
    paths = dict(MOVED)
    for folder in ("reports/studies", "reports/validation"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.name == "README.md" or path.suffix in PICTURES:
                name = path.relative_to(ROOT).as_posix()
                paths[name] = name.removeprefix("reports/").replace("README.md", "index.md")
    return paths


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those that live outside docs/."""
    for source, target in moved().items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    for name, text in reference.pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    places = moved()
    origin = next((source for source, target in places.items() if target == here), f"docs/{here}")
    if here == "gallery.md":
        markdown = markdown.replace("<!-- studies -->", gallery(places))

    def replaced(found: re.Match[str]) -> str:
        target, _, anchor = found["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return found[0]
        source = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        site = places.get(source) or source.removeprefix("docs/")
        if files.get_file_from_path(site) is None:
            return found["text"] if (ROOT / source).exists() else found[0]
        relative = posixpath.relpath(site, posixpath.dirname(here) or ".")
        return f"{found['image']}[{found['text']}]({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(replaced, markdown)


def gallery(places: dict[str, str]) -> str:
    """A line and the first picture of every study."""
    parts = []
    for source in places:
        if not (source.startswith("reports/studies/") and source.endswith("README.md")):
            continue
        text = (ROOT / source).read_text("utf-8")
        title = text.splitlines()[0].removeprefix("# ")
        parts.append(f"## [{title}](../{source})\n")
        picture = re.search(r"!\[([^\]]*)\]\(([^)]+)\)", text)
        if picture:
            folder = posixpath.dirname(source)
            parts.append(f"![{picture[1]}](../{folder}/{picture[2]}){{ width=560 }}\n")
    return "\n".join(parts)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Say where the site is."""
    print(f"open {config['site_dir']}/index.html")
