"""A Sphinx extension: each chapter as a notebook, OUT/notebooks/NAME.ipynb, which runs wherever minigan is installed.

A notebook has what its page shows. Code that the page shows is a cell to run, without its output. Of code that the page
does not show there is the output alone, as text, so that no cell asks for files of the repository. A file that is shown
and imported is written by a cell. A page that shows no code to run has no notebook.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
from docutils.utils import unescape
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx.directives.code import LiteralIncludeReader
from sphinx.errors import ExtensionError

FENCE = re.compile(r"^(`{3,})(.*)\n((?:.*\n)*?)\1$", re.MULTILINE)  # its ticks, its first line, what is in it
OPTION = re.compile(r"^:([\w-]+): *(.*)$", re.MULTILINE)
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


class Chapter:
    """The notebook of one page, cell by cell."""

    def __init__(self, app, name, executed):
        self.app, self.name, self.executed = app, name, executed
        self.code = "\n".join(cell.source for cell in executed.cells if cell.cell_type == "code")
        self.cells, self.text, self.pictures, self.written = [], "", {}, set()

    def notebook(self):
        self.text = (
            f"*A chapter of the documentation of minigan {self.app.config.release}. It runs where that is installed.*"
        )
        for cell in self.executed.cells:
            tags = cell.metadata.get("tags", [])
            if cell.cell_type == "markdown":
                self.read(cell.source)
            elif "remove-input" in tags:
                for output in cell.outputs:
                    self.tell(output)
            else:
                self.run(cell.source, hidden="hide-input" in tags)
        self.end_of_text()
        return new_notebook(cells=self.cells, metadata={"kernelspec": KERNEL, "language_info": LANGUAGE})

    def run(self, source, hidden=False):
        self.end_of_text()
        cell = new_code_cell(source, id=f"{self.name}-{len(self.cells)}")
        if hidden:
            cell.metadata["jupyter"] = {"source_hidden": True}
        self.cells.append(cell)

    def end_of_text(self):
        if text := self.text.strip():
            identity = f"{self.name}-{len(self.cells)}"
            self.cells.append(new_markdown_cell(text, id=identity, attachments=self.pictures))
        self.text, self.pictures = "", {}

    def read(self, source):
        """MyST's Markdown becomes Jupyter's, in which pages do not know each other and directives have no meaning."""
        self.text += "\n\n"
        end = 0
        for fence in FENCE.finditer(source):
            self.text += self.prose(source[end : fence.start()])
            self.fence(fence[2].strip(), fence[3], fence[0])
            end = fence.end()
        self.text += self.prose(source[end:])

    def prose(self, text):
        text = re.sub(r"^\([\w-]+\)=\n", "", text, flags=re.MULTILINE)  # a place that pages point to
        text = re.sub(r"\{doc\}`([^<`]*?)\s*<[^>]*>`", r"\1", text)
        text = re.sub(r"\[\]\((\w+)\.md\)", lambda link: f"*{self.app.env.titles[link[1]].astext()}*", text)
        return re.sub(r"\[([^\]]+)\]\((?:\w+\.md)?(?:#[\w-]+)?\)", r"\1", text)

    def fence(self, head, body, whole):
        directive = re.match(r"\{([\w-]+)\} *(.*)", head)
        if not directive:
            self.text += whole
            return
        kind, file = directive.groups()
        options = dict(OPTION.findall(body))
        path = Path(self.app.srcdir) / file
        if kind == "image":
            if options.get("class") != "only-dark":
                self.picture(path.name, path.read_bytes(), options["alt"])
        elif kind == "literalinclude":
            self.include(path, options)
        else:
            raise ExtensionError(f"{self.name}: what is {{{kind}}} in a notebook? docs/notebooks.py does not know it")

    def include(self, path, options):
        imported = re.search(rf"^(from|import) {path.stem}\b", self.code, re.MULTILINE)
        if imported and path not in self.written:
            self.written.add(path)
            self.run(f"%%writefile {path.name}\n{path.read_text(encoding='utf-8')}".rstrip())
        else:
            lines, _ = LiteralIncludeReader(path, options, self.app.config).read()
            self.text += f"```python\n{lines.strip()}\n```"

    def picture(self, name, content, alt):
        self.pictures[name] = {f"image/{name.rpartition('.')[2]}": base64.b64encode(content).decode()}
        self.text += f"![{unescape(alt)}](attachment:{name})"

    def tell(self, output):
        """What a cell put out, as text."""
        self.text += "\n\n"
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "text/markdown" in data:
            self.text += self.prose(data["text/markdown"])
        elif "image/png" in data:
            name = f"{self.name}-{len(self.cells)}-{len(self.pictures)}.png"
            self.picture(name, base64.b64decode(data["image/png"]), "what the page shows here")
        else:
            self.text += f"```\n{data['text/plain'].strip()}\n```"


def is_run(cell):
    """Whether a page shows it, as code that it is about."""
    return cell.cell_type == "code" and not {"remove-input", "hide-input"} & set(cell.metadata.get("tags", []))


def offer(app, pagename, templatename, context, doctree):
    """Below the title of a page that has a notebook: where it is."""
    path = Path(app.outdir).parent / OUTPUT_FOLDER / f"{pagename}.ipynb"
    if doctree is None or app.env.doc2path(pagename).suffix != ".md" or not path.exists():
        return
    executed = nbformat.read(path, as_version=4)
    if not any(map(is_run, executed.cells)):
        return
    out = Path(app.outdir) / "notebooks" / f"{pagename}.ipynb"
    out.parent.mkdir(exist_ok=True)
    notebook = Chapter(app, pagename, executed).notebook()
    nbformat.validate(notebook)
    nbformat.write(notebook, out)
    link = context["pathto"](f"notebooks/{pagename}.ipynb", resource=True)
    told = f'<p class="as-notebook"><a href="{link}" download>This page as a notebook</a></p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{told}", 1)


def setup(app):
    app.connect("html-page-context", offer)
    return {"parallel_write_safe": True}
