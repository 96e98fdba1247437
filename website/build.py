"""Builds the website: `python -m website.build FOLDER`. A broken link fails the build."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from website.lists import indented
from website.pages import ROOT, Nav, all_pages, attachments, navigation

CONFIGURATION = "zensical.toml"
_TABLE = "[project]\n"


def main(target: Path) -> int:
    """Build the website into `target`, which is replaced."""
    with tempfile.TemporaryDirectory(prefix="totesys-website-") as name:
        folder = Path(name)
        stage(folder)
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(folder / CONFIGURATION)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            # It reports broken links on its output, and ends with a traceback of its own.
            faults = ended.stdout + ended.stderr.partition("Traceback")[0]
            print(f"{faults}The website was not built. Correct what is named above.", file=sys.stderr)
            return 1
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder / "site", target)
    print(f"{target}/index.html: {len(all_pages())} pages.")
    return 0


def stage(folder: Path) -> None:
    """Lay out in `folder` what the generator reads: its configuration, and the pages as they lie in the repository."""
    configuration = (ROOT / "website" / CONFIGURATION).read_text(encoding="utf-8")
    extra = f"nav = {as_toml(navigation())}\n"
    if address := os.environ.get("SITE_URL"):
        extra += f"site_url = {json.dumps(address)}\n"
    (folder / CONFIGURATION).write_text(configuration.replace(_TABLE, _TABLE + extra, 1), encoding="utf-8")
    for path in all_pages():
        _placed(folder, path).write_text(indented((ROOT / path).read_text(encoding="utf-8")), encoding="utf-8")
    for path in attachments():
        shutil.copyfile(ROOT / path, _placed(folder, path))


def _placed(folder: Path, path: str) -> Path:
    copy = folder / "pages" / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    return copy


def as_toml(nav: "Nav | str") -> str:
    """A navigation as a value of TOML."""
    if isinstance(nav, str):
        return json.dumps(nav)
    return f"[{', '.join(_entry(entry) for entry in nav)}]"


def _entry(entry: "dict[str, str | Nav] | str") -> str:
    if isinstance(entry, str):
        return json.dumps(entry)
    return ", ".join(f"{{ {json.dumps(title)} = {as_toml(inner)} }}" for title, inner in entry.items())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
