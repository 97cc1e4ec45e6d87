"""No name is kept "for a while": each module-level name is public, or something in package, tests or docs uses it."""

import ast
import collections
import dataclasses
import re
from pathlib import Path

import pytest_sparrow

ROOT = Path(__file__).parents[1]
TEXTS = ("README.md", "docs/*.md", "pyproject.toml")
CODE = ("tests", "benchmarks", "examples")


def module_of(path):
    """The dotted name of a file of the package, from its path within the project."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def defined(tree):
    """The names that a module defines at its top, within ``if`` and ``try`` too."""
    for node in tree.body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Assign(targets=targets):
                yield from (
                    name.id for each in targets for name in ast.walk(each) if isinstance(name, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If() | ast.Try():
                yield from defined(node)
                for handler in getattr(node, "handlers", ()):
                    yield from defined(handler)


@dataclasses.dataclass
class File:
    """What one file defines and uses: names, attributes, imports, and words of strings."""

    defined: set[str]
    names: set[str] = dataclasses.field(default_factory=set)
    anywhere: set[str] = dataclasses.field(default_factory=set)
    imported: set[tuple[str, str]] = dataclasses.field(default_factory=set)


def read(text, strings):
    """Read one file; docstrings and ``__all__`` use nothing.

    Args:
        text: what stands in the file.
        strings: the pattern of strings whose words are uses.
    """
    tree = ast.parse(text)
    file = File(set(defined(tree)))
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                file.names.add(name)
            case ast.Attribute(attr=name):
                file.anywhere.add(name)
            case ast.ImportFrom(module=module, names=names):
                file.imported.update((module, alias.name) for alias in names)
            case ast.Constant(value=str(text)) if strings.fullmatch(text):
                file.anywhere.update(re.findall(r"\w+", text))
            case ast.Expr(value=ast.Constant()) | ast.Assign(targets=[ast.Name(id="__all__")]):
                continue
        nodes.extend(ast.iter_child_nodes(node))
    return file


DOTTED = re.compile(r"[\w.]+(:[\w.]+)?")
"""A string of the package that names something, like "module:function"."""
CODE_IN_TEXT = re.compile(r"```.*?```|`[^`\n]*`|^[^\n]*=[^\n]*$", re.DOTALL | re.MULTILINE)
ANY = re.compile(r".*", re.DOTALL)
"""A string of a test may be the code of an inner run."""


def files(root, names=None):
    """The files of the package, or those of all else that hold one of these names anywhere; by their paths."""
    word = re.compile(rf"\b(?:{'|'.join(names or ())})\b")
    for folder in ("pytest_sparrow",) if names is None else CODE:
        for path in sorted((root / folder).rglob("*.py")):
            if "data" not in path.relative_to(root).parts:
                text = path.read_text(encoding="utf-8")
                if names is None or word.search(text):
                    yield path, read(text, ANY if names else DOTTED)


def texts(root):
    """The words of documents that stand in code."""
    for pattern in TEXTS:
        for path in root.glob(pattern):
            code = re.findall(
                r"```.*?```|`[^`\n]*`|^.*=.*$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
            )
            yield from re.findall(r"\w+", " ".join(code))


def unused(root=ROOT, public=frozenset(pytest_sparrow.__all__)):
    """Names that nothing uses, as ``module:name``."""
    found, public = dict(files(root)), {*public, *texts(root)}
    # All else is read only where it may use what the package itself does not.
    names = {name for _, name in unused_in(found, root, public)}
    found |= dict(files(root, names)) if names else {}
    return sorted(f"{module}:{name}" for module, name in unused_in(found, root, public))


def unused_in(found, root, public):
    """Modules of the package, and names of theirs that no file of these uses."""
    anywhere = public | {name for file in found.values() for name in file.anywhere}
    sources = collections.defaultdict(set)
    for path, file in found.items():
        for module, name in file.imported:
            # What a package's __init__ imports to pass on is used only where somebody takes it from there.
            if path.name != "__init__.py" or name in file.names:
                sources[name].add(module)
    for path, file in found.items():
        if path.is_relative_to(root / "pytest_sparrow"):
            module = module_of(path.relative_to(root))
            for name in file.defined - file.names - anywhere:
                taken = any(f"{module}.".startswith(f"{source}.") for source in sources[name])
                if not taken and not name.startswith(("__", "pytest_", "test_")):
                    yield module, name


def test_nothing_is_unused():
    """A name that nothing uses is deleted, an alias for an old name first of all."""
    assert unused() == []


def test_an_unused_name_is_found(tmp_path):
    """The rule finds an alias and a function that nothing uses, and leaves alone what is used or public."""
    (tmp_path / "pytest_sparrow").mkdir()
    (tmp_path / "pytest_sparrow" / "new.py").write_text(
        '''"""Old and OldFunction are named in a docstring only."""
__all__ = ["New", "Old", "Public", "old_function"]
class New: ...
Old = New
class Public: ...
def old_function(): """It gives old_function."""
try:
    from json import loads
except ImportError:
    loads = None
    FALLBACK = 1
def used_by_itself(): return New
VALUE = used_by_itself()
print(VALUE, loads)
''',
        encoding="utf-8",
    )
    assert unused(tmp_path, {"Public"}) == [
        f"pytest_sparrow.new:{name}" for name in ("FALLBACK", "Old", "old_function")
    ]
