"""The site: `make docs` builds it, every warning an error."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_site"))

_schema = json.loads((HERE.parent / "schema.json").read_text())

project = "ptd"
author = _schema["publisher"]
copyright = f"{author}; licence {_schema['license']}"  # noqa: A001
version = release = _schema["version"]

extensions = ["myst_parser", "sphinx_design", "reference", "links"]
exclude_patterns = ["_site", "reference/project", "reference/*/*/**"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["config.cache"]
nitpicky = True

html_theme = "furo"
html_title = f"ptd {version}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": _schema["repository"],
    "source_branch": "main",
    "source_directory": "docs/",
}
pygments_style = "friendly"
pygments_dark_style = "native"
