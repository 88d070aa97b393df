"""Questions from Python: is an encoder fit, do two differ, is a requirement met, what weighs most.

The same engine as the commands ``check``, ``compare``, ``gate`` and ``analyze``. A run is a
`Result`, or the path of a finished run's folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

from nearkin.api import Result, load
from nearkin.errors import InputError
from nearkin.progress import Progress, silent

if TYPE_CHECKING:
    import pandas as pd

    from nearkin.encoders.check import CheckReport
    from nearkin.results.analysis import Analysis
    from nearkin.results.answers import RunTables
    from nearkin.results.comparison import Comparison
    from nearkin.results.gate import On, Outcome
    from nearkin.results.trials import RunScores

Run = Result | str | os.PathLike[str]


def check(
    encoder: Any, *, encoder_options: Mapping[str, Any] | None = None, **handling: Any
) -> CheckReport:
    """Check whether an encoder is fit to be tested, before it wastes an hour.

    Parameters
    ----------
    encoder : str or object
        As for `evaluate`: a SPEC, an encoder object or class, a torch module, or a callable
        ``f(audio: float32[samples], sample_rate: int) -> [D] or [T, D]``.
    encoder_options : mapping, optional
        Keyword arguments of a class, settings of other forms.
    **handling
        ``sample_rate`` (Hz, for encoders that state none), ``pool``, ``layer``, ``pad``,
        ``device``, ``trust``.

    Returns
    -------
    CheckReport
        ``fit`` says whether it is; ``faults`` why not, in sentences; ``checks`` everything seen.

    Raises
    ------
    InputError
        If it cannot be had, or is a table of embeddings, which hears nothing.

    Examples
    --------
    >>> check("mfcc").fit
    True
    """
    (one,) = check_all(encoder, encoder_options=encoder_options, **handling)[:1]
    return one


def check_all(
    encoder: Any, *, encoder_options: Mapping[str, Any] | None = None, **handling: Any
) -> list[CheckReport]:
    """Check an encoder, with ``layer="all"`` every layer of it; see `check`."""
    from nearkin.encoders import is_table, resolve_all, takes_layers
    from nearkin.encoders.check import examine

    if isinstance(encoder, str) and encoder.startswith("embeddings:"):
        raise InputError(f"'{encoder}': a table of embeddings hears nothing; check its encoder")
    found = resolve_all(encoder, options=encoder_options, **handling)
    layer = handling.get("layer")
    if layer is not None and not all(takes_layers(one) for one in found):
        raise InputError(f"--layer {layer}: '{encoder}' has no layers; leave --layer out")
    return [examine(one) for one in found if not is_table(one)]


def compare(
    *runs: Run,
    encoders: Sequence[str] = (),
    against: str = "",
    n: int | None = None,
    points: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare encoders of one run or of several, paired over the clips they share.

    Parameters
    ----------
    *runs : Result or path
        One or more, of the same grid and clips. A difference is a later run's less an earlier
        one's: new minus old where the old one is named first.
    encoders : sequence of str
        Which, by name; of one run every tested one with every reference by default (all pairs
        where only references, or only tested ones, are there), of several the tested ones.
    against : str
        Compare all others with this one only, such as ``"random"``.
    n : int, optional
        Also compare C_W in collections of n clips, for runs of different N.
    points : bool
        Also a row for every single magnitude.
    resamples, seed : int
        Of the bootstrap over clips.

    Returns
    -------
    Comparison
        ``table``: a row a pair, measure, distance and level, with ``value_a``, ``value_b``,
        ``difference`` (a less b), its 95 % interval ``ci_low`` to ``ci_high``, ``p`` and
        ``p_holm``; ``notes``: what must be known beside them.

    Raises
    ------
    InputError
        If the runs are of different grids or clips, or an encoder is unknown.

    Examples
    --------
    With a finished run in the folder ``new``::

        compare("new", against="random").table
    """
    from nearkin.results.comparison import compare as compared

    return compared(
        [tables_of(result, name) for name, result in _named(runs)],
        encoders=encoders,
        against=against,
        n=n,
        points=points,
        n_resamples=resamples,
        seed=seed,
    )


def gate(
    run: Run,
    require: str | Sequence[str] = (),
    *,
    baseline: Run | None = None,
    on: On | None = None,
) -> list[Outcome]:
    """Hold a run to requirements.

    Parameters
    ----------
    run : Result or path
        A finished run.
    require : str or sequence of str
        In the language of `nearkin.results.requirements`, such as
        ``"C_W[mfcc,cosine] >= 0.9 @ MP>=128"``, ``"C_W[mine] >= C_W[random]"``, ``"N >= 59"``.
    baseline : Result or path, optional
        The older run that the word "baseline" means; without `require`, the gate fails where
        mean(C_W) of a tested encoder is shown to be worse than there.
    on : {"value", "lower", "shown"}, optional
        What has to hold: the value (the default), the end of the 95 % interval on the wrong side,
        or the other end, so that only what is shown to be wrong is unmet.

    Returns
    -------
    list of Outcome
        One a requirement: ``met``, ``value``, ``ci_low``, ``ci_high``, ``sentence()``.

    Raises
    ------
    InputError
        If a requirement cannot be read or names what the run does not have.

    Examples
    --------
    With a finished run in the folder ``run``::

        assert all(one.met for one in gate("run", "C_W >= 0.9 @ imperceptible"))
    """
    from nearkin.results.gate import NO_WORSE, judge
    from nearkin.results.relative import Older

    asked = [require] if isinstance(require, str) else list(require)
    holding = on or ("shown" if baseline is not None and not asked else "value")
    if baseline is not None and not asked:
        asked = [NO_WORSE]
    result = _opened(run)
    older = None
    if baseline is not None:
        before = _opened(baseline)
        older = Older(tables_of(before, "the baseline"), _with_collections(before, asked))
    return judge(
        asked,
        _with_collections(result, asked),
        result.run,
        on=holding,
        tables=tables_of(result, "this run"),
        older=older,
        perception=result.perception,
        attack_scores=result.attack_scores,
    )


def analyze(
    *runs: Run,
    encoders: Sequence[str] = (),
    at: Literal["own", "mean"] = "own",
    progress: Progress = silent,
) -> Analysis:
    """Fit the paper's additive model to the scores of one run or several.

    Parameters
    ----------
    *runs : Result or path
        Of equal N.
    encoders : sequence of str
        Which, by name; the tested ones and the trained references by default.
    at : {"own", "mean"}
        Marginal means over each cell's own magnitudes, or at the mean one.
    progress : callable
        Told ``(stage, done, total)``.

    Returns
    -------
    Analysis
        ``tables``: ``gam``, ``anova``, ``marginal_means`` and ``contrasts`` as data frames.

    Raises
    ------
    InputError
        If there are too few encoders or magnitudes, or the runs are of different N.
    """
    from threadpoolctl import threadpool_limits

    from nearkin.results.analysis import analyze as analyzed
    from nearkin.results.trials import join, join_performance

    scores = scores_of(runs)
    # the matrices are small: several threads wait for one another, ten times as long as one works
    with threadpool_limits(limits=1, user_api="blas"):
        return analyzed(
            join(scores, encoders=encoders),
            join_performance(scores, encoders=encoders),
            at=at,
            runs=scores,
            progress=progress,
        )


def scores_of(runs: Sequence[Run]) -> list[RunScores]:
    """Return what an analysis reads of runs."""
    from nearkin.results.trials import RunScores

    return [
        RunScores(
            name,
            result.run,
            result.consistency,
            result.performance,
            result.clips,
            result.queries,
        )
        for name, result in _named(runs)
    ]


def tables_of(result: Result, name: str) -> RunTables:
    """Return what a comparison reads of a run."""
    from nearkin.results.answers import RunTables

    return RunTables(name, result.run, result.clips, result.queries, result.attacks)


def run_names(folders: Sequence[Path]) -> list[str]:
    """Return short names of runs: the folders' own, whole paths where these are not enough.

    Raises
    ------
    InputError
        If one is named twice.

    Examples
    --------
    >>> run_names([Path("a/new"), Path("a/old")])
    ['new', 'old']
    """
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice}: is named twice; name each run once")
    return names


def _opened(run: Run) -> Result:
    return run if isinstance(run, Result) else load(run)


def _named(runs: Sequence[Run]) -> list[tuple[str, Result]]:
    """Open runs, each with a name of its own."""
    results = [_opened(run) for run in runs]
    folders = [
        result.path if isinstance(run, Result) else Path(run)
        for run, result in zip(runs, results, strict=True)
    ]
    return list(zip(run_names(folders), results, strict=True))


def _with_collections(result: Result, require: Sequence[str]) -> pd.DataFrame:
    """Return the run's table with every C_W@n that is asked for and not in it."""
    import pandas as pd

    from nearkin.gallery.scores import MEASURED, rows_at
    from nearkin.results.collections import collection_rows
    from nearkin.results.requirements import parse

    parts = [result.consistency]
    sizes = set()
    for text in require:
        with contextlib.suppress(InputError):  # told with all others when they are judged
            sizes.add(parse(text).size)
    present = set(result.consistency["measure"])
    for size in sorted(sizes - {0}):
        if f"C_W@{size}" not in present:
            tables = tables_of(result, result.path.name)
            table, ranked = result.gallery, result.gallery_queries
            if size > int(result.run["n"]) and table is not None and ranked is not None:
                measured = table.loc[table["kind"] == MEASURED, "size"]
                n_gallery = int(measured.max()) - int(result.run["n"])
                parts.append(rows_at(tables, ranked.fillna({"task": ""}), n_gallery, size))
            else:
                parts.append(collection_rows(tables, size))
    return pd.concat(parts, ignore_index=True)


class WrittenAnalysis(NamedTuple):
    """An analysis in words, and where its tables and figures are."""

    words: list[str]
    tables: Path
    figures: Path


def write_analysis(
    found: Analysis, results: Sequence[Result], out: Path | None = None
) -> WrittenAnalysis:
    """Write the tables, the words and the figures of an analysis of runs.

    Parameters
    ----------
    found : Analysis
        Of `analyze`.
    results : sequence of Result
        The runs.
    out : Path, optional
        Where to; ``analysis/`` and ``figures/`` in the first run's folder by default.

    Raises
    ------
    InputError
        If something that is not nearkin's own is in the way.
    """
    import pandas as pd

    from nearkin.lease import leased
    from nearkin.ownership import OwnFolder
    from nearkin.report.figures import PICTURES, write_means
    from nearkin.results.analysis_words import sentences

    words = sentences(found)
    home = results[0].folder
    if out is None:
        owned, tables, pictures = home.owned, home.root / "analysis", home.root / "figures"
    else:
        files = [*(f"{name}.csv" for name in found.tables), "summary.txt", *PICTURES]
        owned, tables, pictures = OwnFolder(out, "analysis", files), out, out
        owned.claim([one.folder.root for one in results])
    rows = pd.concat([one.consistency for one in results], ignore_index=True)
    record = {"encoders": [row for one in results for row in one.run["encoders"]]}

    def put(text: str) -> Callable[[BinaryIO], Any]:
        return lambda file: file.write(text.encode("utf-8", "backslashreplace"))

    with home.held() if out is None else leased(owned.root):
        if out is None:
            home.open_folder("analysis")
            home.open_folder("figures")
        owned.delete([tables / "summary.txt"])  # it marks an analysis as whole: last written
        for name, table in found.tables.items():
            owned.write(tables / f"{name}.csv", put(table.to_csv(index=False, lineterminator="\n")))
        owned.write(tables / "summary.txt", put("\n\n".join(words) + "\n"))
        owned.expect(pictures / name for name in PICTURES)
        owned.wrote(*write_means(found.tables["marginal_means"], rows, record, pictures))
    return WrittenAnalysis(words, tables, pictures)
