"""The modules an encoder is made of (`nearkin.encoders.imported`), hashed and imported as they are.

What is hashed is what runs: a module that this process imported before its file changed, or that
may be such a one, is imported anew with all beside it. A library, and nearkin itself, cannot be:
it is refused where it is known to run another text than its file's.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from nearkin.audio import sha256_file
from nearkin.encoders.identity import joined
from nearkin.encoders.imported import (
    HOUSE,
    imported_files,
    is_imported_once,
    is_library,
    root_of,
)
from nearkin.encoders.running_code import is_not_of, may_be_older
from nearkin.errors import InputError, printable

_loaded: dict[Path, str] = {}
"""Own modules that were imported in this process, and their hashes then."""
_MARGIN_S = 2.0
"""File systems and clocks count in steps; what changed this long before a process began is doubted,
which costs an import."""


def sha256_of_modules(files: Sequence[Path], root: Path) -> str:
    """Hash modules with their places below a folder; empty where there is none."""
    if not files:
        return ""
    told = [f"{file.relative_to(root).as_posix()}\0{sha256_file(file)}" for file in files]
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()


class OwnModules:
    """The modules of one encoder: whatever its code imports of them, at any time, is of them.

    Parameters
    ----------
    files : sequence of Path
        The modules, below `root`.
    root : Path
        The folder they are imported from; it is in `sys.path` while one is.
    """

    def __init__(self, files: Sequence[Path], root: Path) -> None:
        self.files = tuple(files)
        self.root = root
        self._tops = {_dotted(file, root).partition(".")[0] for file in files}
        self._held: dict[str, ModuleType] = {}
        self._aside: dict[str, ModuleType] = {}
        self._within = 0
        self._lock = threading.RLock()
        self.builtins: dict[str, object] = {}

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Import them as they stand now, and not another folder's namesakes.

        Where one of them was imported before and has changed, or may have, all are imported anew:
        what did not change may hold what it took from the one that did. A module of the same name
        from another folder stands aside, and is back afterwards; libraries stay.
        """
        now = {file: sha256_file(file) for file in self.files}
        outdated = _outdated(now, self.root, sys.modules.keys())
        with _anew(self._tops if outdated else (), self.root), self._at_home():
            yield
        _loaded.update(now)

    def load(self, name: str, path: Path) -> ModuleType:
        """Run a file as a module of this name, whose functions import from here as well.

        Raises
        ------
        ImportError
            If it cannot be run as Python.
        """
        loader = _Loader(self, name, path)
        location = importlib.util.spec_from_file_location(name, path, loader=loader)
        if location is None:
            raise ImportError(f"{path} cannot be imported as Python")
        module = importlib.util.module_from_spec(location)
        sys.modules[name] = module
        try:
            with self.loading():
                loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def imports(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Stand for ``__import__`` in code of theirs that imports when it is called."""
        package = str((globals or {}).get("__package__") or "")
        above = package.split(".")[: 1 - level or None] if level else []
        whole = ".".join([*above, *filter(None, [name])])
        is_own = whole.partition(".")[0] in self._tops
        if not is_own or self._is_there(whole, fromlist or ()):
            return builtins.__import__(name, globals, locals, fromlist, level)
        with self._at_home():
            return builtins.__import__(name, globals, locals, fromlist, level)

    def imports_late(self, file: Path) -> bool:
        """Tell whether functions of a file may import what is of the own folder."""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
            if isinstance(node, ast.Name) and node.id in ("__import__", "exec", "eval"):
                return True
            for each in ast.walk(node) if isinstance(node, functions) else ():
                names = [alias.name for alias in each.names] if isinstance(each, ast.Import) else []
                if isinstance(each, ast.ImportFrom):
                    if each.level:
                        return True
                    names = [each.module or ""]
                if any(name.partition(".")[0] in self._tops for name in names):
                    return True
        return False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of them, as the finders of `sys.meta_path` do."""
        if name.partition(".")[0] not in self._tops:
            return None
        places = [str(self.root)] if path is None else path
        found = PathFinder.find_spec(name, places, target)
        if found is not None and isinstance(found.loader, SourceFileLoader) and found.origin:
            found.loader = _Loader(self, name, Path(found.origin))
        return found

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Let imports be of the own folder; several threads may import at a time."""
        with self._lock:
            if self._within == 0:
                self._enter()
            self._within += 1
        try:
            yield
        finally:
            with self._lock:
                self._within -= 1
                if self._within == 0:
                    self._leave()

    def _enter(self) -> None:
        self._aside = _taken([name for name in self._tops if self._is_strange(name)])
        sys.modules.update({n: m for n, m in self._held.items() if n not in sys.modules})
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]
        sys.path.insert(0, str(self.root))
        importlib.invalidate_caches()

    def _leave(self) -> None:
        if str(self.root) in sys.path:
            sys.path.remove(str(self.root))
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        tops = {name for name in self._tops if _is_below(sys.modules.get(name), self.root)}
        mine = {n: m for n, m in list(sys.modules.items()) if n.partition(".")[0] in tops}
        self._held.update(mine)
        self.builtins |= {**vars(builtins), "__import__": self.imports}  # some are added late
        if self._aside:
            _taken(name.partition(".")[0] for name in self._aside)
            _give_back(self._aside)

    def _is_there(self, whole: str, wanted: Sequence[str]) -> bool:
        """Tell whether what is imported is in its place already, so that nothing runs."""
        parts = whole.split(".")
        names = [".".join(parts[: depth + 1]) for depth in range(len(parts))]
        held = [self._held.get(name) for name in names]
        if any(m is None or sys.modules.get(n) is not m for n, m in zip(names, held, strict=True)):
            return False
        return all(hasattr(held[-1], name) for name in wanted)

    def _is_strange(self, name: str) -> bool:
        module = sys.modules.get(name)
        other = name in self._held and module is not self._held[name]
        return module is not None and (other or _is_elsewhere(module, self.root))


class _Loader(SourceFileLoader):
    """Runs a file as its text is now: compiled code that is kept is told apart by seconds only."""

    def __init__(self, own: OwnModules, name: str, path: Path) -> None:
        super().__init__(name, str(path))
        self._own = own

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        if self._own.imports_late(Path(self.path)):
            self._own.builtins |= {**vars(builtins), "__import__": self._own.imports}
            module.__dict__["__builtins__"] = self._own.builtins
        super().exec_module(module)


def sha256_of_imported(
    module: ModuleType, before: Collection[str], again: Callable[[], ModuleType]
) -> tuple[ModuleType, str]:
    """Hash a module that was imported by name, with its own, and see to it that this is what runs.

    Parameters
    ----------
    module : module
        As `importlib.import_module` returned it.
    before : collection of str
        The names in `sys.modules` before that.
    again : callable
        Imports it.

    Returns
    -------
    (module, str)
        The module, anew where its files were imported before and have changed, or may have; and
        the hash, empty where it has no file.

    Raises
    ------
    InputError
        If such a module is of a library, which cannot be imported twice in a process.
    """
    place = getattr(module, "__file__", None)
    if not place or not Path(place).is_file():
        return module, ""
    name, path = module.__name__, Path(place)
    root, own = root_of(path, name), imported_files(path, name)
    now = {file: sha256_file(file) for file in (path.resolve(), *own)}
    library = is_imported_once(root, name.partition(".")[0])
    outdated = _outdated(now, root, before, library=library)
    if outdated and library:
        raise InputError(
            f"encoder '{name}': {printable(outdated[0])} changed after this process imported it, "
            "which runs it as it was before; restart the process (in a notebook, the kernel)"
        )
    if outdated:
        with _anew({_dotted(file, root).partition(".")[0] for file in now}, root):
            importlib.invalidate_caches()
            module = again()
    _loaded.update(now)
    of_own = sha256_of_modules(own, root)
    return module, joined(now[path.resolve()], of_own)


def _outdated(
    now: Mapping[Path, str], root: Path, before: Collection[str], *, library: bool = False
) -> list[Path]:
    """Return the files that modules were imported from before they changed.

    Where that cannot be told, those of an own folder are among them, those of a library not.
    """
    found = []
    for file, sha256 in now.items():
        name = _dotted(file, root)
        module = sys.modules.get(name)
        place = getattr(module, "__file__", None)
        if module is None or name not in before or not place:
            continue
        if Path(place).resolve() != file.resolve():
            continue
        if file in _loaded:
            outdated = _loaded[file] != sha256
        else:
            outdated = may_be_older(module, file, margin_s=_MARGIN_S)
        if outdated and (not library or file in _loaded or is_not_of(module, file)):
            found.append(file)
    return found


def _dotted(file: Path, root: Path) -> str:
    """Return the name that a module's file is imported by.

    Examples
    --------
    >>> _dotted(Path("/code/models/__init__.py"), Path("/code"))
    'models'
    """
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_elsewhere(module: ModuleType | None, root: Path) -> bool:
    known = _places(module)
    return bool(known) and not any(
        place.is_relative_to(root) or is_library(place) for place in known
    )


def _is_below(module: ModuleType | None, root: Path) -> bool:
    return any(place.is_relative_to(root) for place in _places(module))


def _places(module: ModuleType | None) -> list[Path]:
    """Return where a module was read from; nowhere is what is built in."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
    return [Path(place).resolve() for place in places if place]


@contextmanager
def _anew(tops: Collection[str], root: Path) -> Iterator[None]:
    """Let what is imported from a folder be imported again; where that fails it is as it was."""
    with_own = {name for name in tops if _is_below(sys.modules.get(name), root)}
    taken = _taken(with_own, lambda module: _is_below_by_file(module, root))
    try:
        yield
    except BaseException:
        if taken:
            _taken(with_own, lambda module: _is_below_by_file(module, root))
            _give_back(taken)
        raise
    kept = [name for name in sys.modules if name.partition(".")[0] in with_own]
    for name in kept if taken else ():
        above, _, last = name.rpartition(".")
        if above in taken and above in sys.modules and not hasattr(sys.modules[above], last):
            setattr(sys.modules[above], last, sys.modules[name])


def _taken(
    names: Iterable[str], which: Callable[[ModuleType], bool] = lambda _: True
) -> dict[str, ModuleType]:
    """Take modules, with those below them, out of `sys.modules`; what is of a library stays."""
    tops = set(names) - {HOUSE}
    held = {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in tops and not _is_of_library(module) and which(module)
    }
    for name, module in held.items():
        del sys.modules[name]
        above, _, last = name.rpartition(".")
        parent = sys.modules.get(above) if above not in held else None
        # `from package import module` does not look further where the package has it
        if parent is not None and vars(parent).get(last) is module:
            delattr(parent, last)
    return held


def _give_back(taken: Mapping[str, ModuleType]) -> None:
    sys.modules.update(taken)
    for name, module in taken.items():
        above, _, last = name.rpartition(".")
        if above in sys.modules and above not in taken:
            setattr(sys.modules[above], last, module)


def _is_below_by_file(module: ModuleType, root: Path) -> bool:
    place = getattr(module, "__file__", None)
    return bool(place) and Path(str(place)).resolve().is_relative_to(root)


def _is_of_library(module: ModuleType) -> bool:
    place = getattr(module, "__file__", None)
    return bool(place) and is_library(Path(str(place)).resolve())
