"""The methods paragraph and the citations of a run: its record in, sentences out.

Only what the record says is said; a setting it does not hold is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nearkin.encoders import ALIASES, REFERENCES, TRAINED, resolve
from nearkin.results.systems import distance_name
from nearkin.statistics.intervals import BOOTSTRAP, BOUNDED, EXACT, OVER_TRIALS, SURVEY
from nearkin.transforms import TRANSFORMATIONS, transformation_class

PAPER_BIBTEX = """\
@article{kim2019nearby,
  author  = {Kim, Jaehun and Urbano, Juli{\\'a}n and Liem, Cynthia C. S. and Hanjalic, Alan},
  title   = {Are Nearby Neighbors Relatives? Testing Deep Music Embeddings},
  journal = {Frontiers in Applied Mathematics and Statistics},
  volume  = {5},
  pages   = {53},
  year    = {2019},
  doi     = {10.3389/fams.2019.00053}
}"""


def software_bibtex(run: Mapping[str, Any]) -> str:
    """Return the BibTeX entry of the version of nearkin that made a run."""
    version = str(run.get("nearkin", "unknown"))
    year = str(run.get("finished") or run.get("created") or "")[:4]
    lines = [
        "@software{nearkin,",
        "  title   = {nearkin: distance consistency of audio encoders},",
        f"  version = {{{version}}}",
    ]
    if year.isdigit():
        lines[-1] += ","
        lines.append(f"  year    = {{{year}}}")
    return "\n".join([*lines, "}"])


def paragraph(
    run: Mapping[str, Any],
    *,
    audio: list[str],
    latent: list[str],
    intervals: Collection[str] = (),
    counts_failed: bool = False,
) -> str:
    """Return the methods paragraph of a run, ready to paste.

    Parameters
    ----------
    run : mapping
        The run's record (run.json).
    audio, latent : list of str
        The distances of each space that the tables hold.
    intervals : collection of str
        The values of ``ci_method`` in the consistency table; none in tables of before it was.
    counts_failed : bool
        Whether the table counts the queries that an encoder failed, and takes them as lost.

    Returns
    -------
    str
        Plain sentences.
    """
    plan = run.get("plan", {})
    sentences = [
        *_clips(run, plan),
        *_transformations(run, plan),
        *_spaces(run, plan, audio, latent),
        *_encoders(run, plan),
        *_measures(plan, int(run.get("n") or 0)),
        intervals_in_words(intervals, resamples=plan.get("resamples")),
        *(["A query that an encoder failed counts as lost."] if counts_failed else []),
        *_departures(run, plan),
        *_versions(run),
    ]
    return " ".join(sentences)


def _clips(run: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    text = (
        f"Distance consistency (Kim, Urbano, Liem and Hanjalic, 2019) was measured with nearkin "
        f"{run.get('nearkin', '(version unknown)')} on N = {run.get('n', '?')}"
    )
    if "clip_seconds" in plan:
        seconds = float(plan["clip_seconds"])
        text += (
            f" clips of {seconds:g} s, each cut from the centre of a context of {2 * seconds:g} s"
        )
        text += " (or of what a shorter file has)"
    else:
        text += " clips"
    if "seed" in plan:
        text += f"; the place of every clip was drawn from the seed {plan['seed']}"
    return [text + "."]


def _transformations(run: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    points = run.get("grid", {}).get("points") or []
    sentences = []
    if points:
        codes = list(dict.fromkeys(str(code) for code, _ in points))
        sentences.append(
            f"The grid '{run['grid'].get('name', 'unnamed')}' has {len(points)} transformation and "
            f"magnitude points ({', '.join(codes)}), beside the unchanged clip (OG)."
        )
    else:
        codes = []
    known = [transformation_class(code) for code in codes if code in TRANSFORMATIONS]
    sentences += filter(None, (kind.method(run) for kind in known))
    sentences += [_chain(chain) for chain in run.get("grid", {}).get("chains") or []]
    if codes:
        named = [code for code in codes if code in TRANSFORMATIONS]
        kept = [code for code in named if transformation_class(code).loudness == "kept"]
        but = f" but those of {', '.join(kept)}" if kept else ""
        sentences.append(
            f"Every transformed clip{but} was scaled to the integrated loudness of its own "
            "original (ITU-R BS.1770-4"
            + (", over the whole context)." if plan.get("loudness_window") == "full" else ").")
        )
    if plan.get("storage") == "mu-law":
        sentences.append("All clips passed 8-bit mu-law, as those of the authors did.")
    return sentences


def _chain(chain: Mapping[str, Any]) -> str:
    """Say what a chain of transformations is."""
    levels = "; ".join(
        f"{level:g}: {', '.join(f'{value:g}' for value in values)}"
        for level, values in chain["levels"]
    )
    return (
        f"{chain['code']} is {' then '.join(map(str, chain['steps']))}, at levels of a declared "
        f"severity (magnitudes at {levels})."
    )


def _spaces(
    run: Mapping[str, Any], plan: Mapping[str, Any], audio: list[str], latent: list[str]
) -> list[str]:
    text = "The audio space is that of MFCC sequences (first coefficient dropped"
    if {"n_mfcc", "n_fft", "hop_length", "n_mels"} <= set(plan):
        text += (
            f"; {plan['n_mfcc']} coefficients before that, window {plan['n_fft']}, hop "
            f"{plan['hop_length']}, {plan['n_mels']} mel bands"
        )
    if "working_rate" in plan:
        text += f", {plan['working_rate']} Hz"
    text += ")"
    if audio:
        text += " under the " + _named(audio)
        if "simple" in audio and "simple_window" in plan:
            text += f" (SiMPle's window: {plan['simple_window']} frames)"
        if "dtw" in audio and plan.get("dtw") == "fast":
            text += ", DTW by FastDTW of radius 1"
    if latent:
        text += "; embeddings were compared under the " + _named(latent)
    sentences = [text + "."]
    if plan.get("audio_window") == "full":
        sentences.append(
            "The audio space compared whole transformed contexts with whole original ones."
        )
    return sentences


def _encoders(run: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """Say what the references are, and what encoders of higher rates did not hear."""
    sentences = []
    references = [_reference(one) for one in run.get("encoders", ()) if _is_reference(one)]
    if references:
        sentences.append(f"Reference encoders: {'; '.join(dict.fromkeys(references))}.")
    working = int(plan.get("working_rate") or 0)
    rates: dict[int, list[str]] = {}
    for one in run.get("encoders", ()):
        rate = int(one.get("sample_rate") or 0)
        heard = not str(one.get("spec", "")).startswith("embeddings:")
        if working and rate > working and heard and not _is_reference(one):
            rates.setdefault(rate, []).append(str(one.get("label") or one.get("name")))
    for rate, labels in sorted(rates.items()):
        takes = "takes" if len(labels) == 1 else "take"
        sentences.append(
            f"{' and '.join(labels)} {takes} audio at {rate:,} Hz and heard nothing above "
            f"{working / 2000:.2g} kHz, half the working rate."
        )
    return sentences


def _is_reference(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("role") == "reference")


def _reference(entry: Mapping[str, Any]) -> str:
    """Name a reference and what it is; a trained one with what it was trained on."""
    label = str(entry.get("label") or entry.get("name"))
    spec = str(entry.get("spec") or label)
    known = ALIASES.get(spec, spec)
    if known in (*REFERENCES, *TRAINED):
        found = resolve(known)
        what = getattr(found.encoder, "what", "")
        # weights of another hash are another version's, of which this one's card says nothing
        if found.sha256 == str(entry.get("sha256") or ""):
            return f"{label} ({what})"
    return label


def _named(distances: list[str]) -> str:
    names = [distance_name(name) for name in distances]
    return " and ".join(names) + (" distances" if len(names) > 1 else " distance")


def _measures(plan: Mapping[str, Any], n: int) -> list[str]:
    rho = {
        "clips": "averaged over the rank correlations of the single clips",
        "own": "taken over the distances to the own originals only",
    }.get(str(plan.get("rho")), "pooled over all pairs of different clips")
    drawn = int(plan.get("rho_clips") or n)
    if n > drawn and plan.get("rho") != "own":
        rho += f", over {drawn:,} clips drawn from the {n:,}"
    return [
        "C_W is the share of transformed clips that lie strictly nearer to their own original than "
        "to any other (a tie is an error); C_B_acc is the share of clips on which both spaces "
        "agree about that; C_B_rho is the Spearman correlation of the distances of both spaces, "
        f"{rho}.",
    ]


def intervals_in_words(used: Collection[str], *, resamples: int | None = None) -> str:
    """Return how the intervals of a table were made, in one sentence.

    Parameters
    ----------
    used : collection of str
        The values of its ``ci_method``; none in tables of before there was that column.
    resamples : int, optional
        Bootstrap resamples.

    Examples
    --------
    >>> intervals_in_words(["clopper-pearson", "", "bootstrap"])[:66]
    'All intervals are of 95 %: exact binomial ones (Clopper and Pearso'
    """
    drawn = f"{resamples:,} " if resamples else ""
    bootstrap = (
        f"percentile intervals from {drawn}bootstrap resamples of clips, the same throughout"
    )
    known = {
        EXACT: "exact binomial ones (Clopper and Pearson) for shares of clips",
        SURVEY: (
            "Korn and Graubard's for shares where clips share a file or group or trials are "
            "averaged"
        ),
        BOUNDED: (
            "beta intervals by the clips' variance for means of bounded numbers (monotonicity)"
        ),
        BOOTSTRAP: bootstrap,
        OVER_TRIALS: (
            "t-intervals from the variance of trials and clips for means over three trials or more"
        ),
    }
    told = [words for method, words in known.items() if method in used]
    told += [str(method) for method in sorted(set(used) - set(known) - {""})]
    return f"All intervals are of 95 %: {'; '.join(told or [bootstrap])}."


def _departures(run: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    departures = ["MP3 output is aligned to the sample", "noise and excerpts are seeded"]
    if plan.get("storage") != "mu-law":
        departures.insert(0, "audio stays floating-point, without 8-bit mu-law")
    if plan.get("dtw") != "fast":
        departures.insert(0, "DTW is exact, not FastDTW")
    if plan.get("audio_window") != "full":
        departures.append("both spaces see the same window of sound")
    if "rubberband" not in str(run.get("engine", "rubberband")).lower().replace(" ", ""):
        departures.append("tempo and pitch are not shifted by Rubber Band")
    return [f"Departures from the authors' code: {'; '.join(departures)}."]


def _versions(run: Mapping[str, Any]) -> list[str]:
    versions = run.get("versions") or {}
    if not versions:
        return []
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return [f"Versions: {listed}."]


def on_performance(performed: Mapping[str, Any]) -> str:
    """Return how the task scores were taken, in sentences; empty where there are none.

    Parameters
    ----------
    performed : mapping
        performance.json.
    """
    if not performed:
        return ""
    sets = performed.get("test_sets", {})
    told = "; ".join(
        f"{task}: {counts.get('used', counts.get('rows', '?'))} clips of {counts.get('manifest')}"
        for task, counts in sets.items()
    )
    plan = performed.get("plan", {})
    grid = plan.get("grid") or {}
    points = len(grid.get("points") or [])
    text = f"Each task was scored on its own clips ({told}; split {plan.get('split', '?')})"
    if points:
        text += f", unchanged and at the {points} points of the grid '{grid.get('name')}'"
    sentences = [
        text + f", seed {plan.get('seed', '?')}. Every changed clip has the loudness of its "
        "original."
    ]
    if "ae" in sets:
        sentences.append("An autoencoder's target is the changed clip itself.")
    if "vs" in sets:
        sentences.append(
            "In singing-voice separation mixture and voice passed tempo and pitch shifts together, "
            "and the mixture's loudness gain was applied to the voice; SDR is the median over "
            "frames of one second, then over clips."
        )
    scales = sorted({str(model.get("scale")) for model in performed.get("models", ())})
    if scales and "None" not in scales:
        sentences.append(f"The models were trained at the scale {' and '.join(scales)}.")
    return " ".join(sentences)
