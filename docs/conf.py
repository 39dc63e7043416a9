"""The documentation site. Pages are written for GitHub, too, so its links are translated here.

python -m sphinx -W --keep-going docs build/site    needs the extra "docs"
"""

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import smoothmax

ROOT = Path(__file__).resolve().parent.parent

project = "smoothmax"
author = "the smoothmax developers"
copyright = "2026, the smoothmax developers"  # noqa: A001, the name is Sphinx's
version = release = smoothmax.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["gallery/*", "figures/*"]
templates_path = ["_templates"]
nitpicky = True
# Types in docstrings are English, such as "array_like, any shape", and numpydoc would take the words for names.
numpydoc_xref_param_type = False
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
nitpick_ignore_regex = [("py:.*", r"(numpy|scipy|dask|torch|jax)\..*")]  # a build cannot fetch their inventories
autosummary_generate = True
autodoc_typehints = "none"
default_role = "autolink"  # `logsumexp` is a link, `x` is not
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}

# Pages ---------------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
    "capture_repr": (),
    "min_reported_time": 3600,
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("smoothmax",),
    "reference_url": {"smoothmax": None},
}

# Pages of the site whose text lies elsewhere in the repository, and other links that differ on GitHub.
ELSEWHERE = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing", "bench/README.md": "measuring"}
LINKS = {path: f"{name}.md" for path, name in ELSEWHERE.items()}
LINKS |= {"README.md": "index.md", "docs/gallery/README.rst": "examples/index.rst"}


def translate(app: Sphinx, docname: str, source: list[str]) -> None:
    """Read the text of a page from its file in the repository, and convert its links to links of the site."""
    origin = {name: path for path, name in ELSEWHERE.items()}.get(docname)
    folder = (ROOT / origin).parent if origin else Path(app.srcdir)
    text = (ROOT / origin).read_text(encoding="utf-8") if origin else source[0]
    text = text.replace("\n\n```\n", "\n```\n")  # the empty line that ends a doctest
    for anchor in re.findall(r'<a id="([^"]+)"', text):
        text = text.replace(f"](#{anchor})", f"]({docname}.md#{anchor})")
    source[0] = re.sub(
        r"(?<=\]\()(?!\w+:|#)[^)#\s]+", lambda link: moved(folder / link.group(), Path(app.srcdir)), text
    )


def moved(target: Path, sources: Path) -> str:
    """The path of a file of the repository as a page of the site names it."""
    path = os.path.relpath(target, ROOT).replace(os.sep, "/")
    return LINKS.get(path) or os.path.relpath(target, sources).replace(os.sep, "/")


def note_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Let links use the anchors of performance.md, which are HTML so that they work on GitHub."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for raw in doctree.findall(nodes.raw):
        for anchor in re.findall(r'<a id="([^"]+)"', raw.astext()):
            slugs[anchor] = (raw.line or 0, anchor, anchor.upper())


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx calls this first."""
    app.connect("source-read", translate)
    app.connect("doctree-read", note_anchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# Looks ---------------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"smoothmax {release}"
html_static_path = ["_static"]
html_css_files = ["smoothmax.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "smoothmax"},
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 7,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "start": [], "changelog": []}
