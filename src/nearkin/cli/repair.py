"""``nearkin repair``: a linear map against what an encoder loses, learned from a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearkin.cli.common import Json, Quiet, refuse_taken, say, sentences, tell
from nearkin.cli.flags import Run

if TYPE_CHECKING:
    import pandas as pd

    from nearkin.repair.run import Repair


def repair_command(
    run: Run,
    encoder: Annotated[
        str, typer.Option("--encoder", help="Which encoder's embeddings [the tested one].")
    ] = "",
    out: Annotated[
        Path,
        typer.Option("--out", help="The map; its table (.csv) and figure (.svg) go beside it."),
    ] = Path("map.safetensors"),
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="Write the map as an ONNX graph too.")
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Learn a linear map that keeps changed clips near their originals; test it held out."""
    with sentences():
        from nearkin.api import load
        from nearkin.errors import InputError, printable
        from nearkin.files import finite, write_whole
        from nearkin.maps.files import NUMPY, write_map
        from nearkin.maps.onnx import write_onnx
        from nearkin.report.figures.files import drawable, write_spec
        from nearkin.report.figures.repair import figure_repair

        if out.suffix != ".safetensors":
            raise InputError(f"--out {printable(out)}: must end in .safetensors; name such a file")
        if onnx is not None and onnx.suffix != ".onnx":
            raise InputError(f"--onnx {printable(onnx)}: must end in .onnx; name such a file")
        _refuse_others(out, onnx)
        result = load(run)
        done = result.repair(encoder)
        label = done.found.origin.encoder
        write_map(out, done.found)
        if onnx is not None:
            write_onnx(onnx, done.found)
        text = done.table.to_csv(index=False, lineterminator="\n").encode()
        write_whole(out.with_suffix(".csv"), lambda file: file.write(text))
        chart = figure_repair(done.table, encoder=label)
        write_spec(drawable(chart), out.with_suffix(""), ["svg"])
        lines = [
            *_lines(done),
            f"map: {out}",
            f"table: {out.with_suffix('.csv')}",
            f"figure: {out.with_suffix('.svg')}",
            *([f"graph: {onnx}"] if onnx is not None else []),
            f"use it: nearkin run MUSIC --encoder map:{out}+{done.found.origin.spec}",
            "or in your own pipeline, z your embeddings [n, D]:",
            *(f"    {line}" for line in NUMPY.format(name=out).splitlines()),
        ]
        tell(lines, str(out), quiet=quiet, as_json=as_json)
        if as_json:
            rows = done.table.to_dict("records")
            told = {"map": str(out), "encoder": label, "rows": rows}
            say(json.dumps(finite(told)))


def _refuse_others(out: Path, onnx: Path | None) -> None:
    """Refuse to write over a file that is no map, or beside none, such as a model or a table."""
    from nearkin.errors import InputError, printable
    from nearkin.files import refuse_other_file
    from nearkin.maps.files import read_map
    from nearkin.maps.onnx import is_map
    from nearkin.repair.table import is_table
    from nearkin.report.figures.repair import is_figure

    refuse_taken("--out", out, lambda data: True)
    if out.exists() and out.stat().st_size:
        try:
            read_map(out)
        except InputError as error:
            raise InputError(
                f"--out {printable(out)}: is there and is no map ({error}); name another file"
            ) from error
    beside: dict[str, Callable[[bytes], bool]] = {".csv": is_table, ".svg": is_figure}
    for suffix, is_ours in beside.items():
        path = out.with_suffix(suffix)
        refuse_other_file(path, is_ours, told=f"--out {printable(out)}: {printable(path)}")
    refuse_taken("--onnx", onnx, is_map)


def _lines(done: Repair) -> list[str]:
    origin, table = done.found.origin, done.table
    table = table[table["latent_distance"] == "cosine"]
    lines = [
        f"{origin.encoder}: learned from {origin.n_clips} clips of {origin.n_groups} groups under "
        f"{', '.join(origin.transformations)}; shrinkage {origin.shrinkage:g}",
        "C_W by cosine on clips of groups that the map never saw, before -> after:",
    ]
    within = table[table["measure"] == "C_W"]
    points = within[["transformation", "magnitude"]].drop_duplicates()
    for code, magnitude in zip(points["transformation"], points["magnitude"], strict=True):
        here = within[within["transformation"] == code]
        alike = (
            here["magnitude"].isna() if magnitude != magnitude else (here["magnitude"] == magnitude)
        )
        lines += _point(here[alike])
    for measure, what in (
        ("P@1", "nearest other is of the same group"),
        ("kept@10", "10 nearest others that stay"),
    ):
        row = table[(table["measure"] == measure) & (table["fit"] == "seen")].iloc[0]
        told = row["status"] if row["status"] != "ok" else _change(row)
        lines.append(f"unchanged music, {what} ({measure}): {told}")
    rho = table[(table["measure"] == "C_B_rho") & (table["fit"] == "seen")]
    rho = rho[rho["transformation"] == "OG"]
    lines += [
        f"unchanged music, C_B_rho with {row['audio_distance']}: {_change(row)}"
        for row in rho.to_dict("records")
    ]
    if not len(rho):
        lines.append("C_B_rho: not computed, the run kept no audio distances (--keep-distances)")
    return lines


def _point(rows: pd.DataFrame) -> list[str]:
    """Return the line of a point: what the map does where it saw the change, and where not."""
    by_fit: dict[str, Any] = {row["fit"]: row for _, row in rows.iterrows()}
    first = by_fit["seen"]
    if first["status"] != "ok":
        return []
    at = first["magnitude"]
    name = f"{first['transformation']} {at:g}" if at == at else f"{first['transformation']} (mean)"
    told = f"  {name:12} {_change(first)}"
    if "unseen" in by_fit:
        told += f"; change never seen {_change(by_fit['unseen'], short=True)}"
    return [told]


def _change(row: Any, *, short: bool = False) -> str:
    after = f"-> {_value(row, 'after')}"
    return after if short else f"{_value(row, 'before')} {after}"


def _value(row: Any, side: str) -> str:
    return f"{row[side]:.3f} [{row[f'{side}_low']:.2f}, {row[f'{side}_high']:.2f}]"
