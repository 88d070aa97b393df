"""``nearkin listen``: the sounds behind a point of a run, made again from the music."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from nearkin.cli.common import Json, Quiet, say, sentences, tell
from nearkin.cli.flags import Run


def listen_command(
    run: Run,
    encoder: Annotated[
        str | None,
        typer.Option(help="Whose failures, by name, such as vgg-ae [the first tested with any]."),
    ] = None,
    transformation: Annotated[
        str | None, typer.Option(help="Such as EN [that of the mildest change that lost a clip].")
    ] = None,
    magnitude: Annotated[
        float | None, typer.Option(help="One that was run, such as 6 [the mildest with a loss].")
    ] = None,
    distance: Annotated[str, typer.Option(help="The latent distance [cosine].")] = "",
    clip: Annotated[
        list[str] | None,
        typer.Option(help="This clip, lost or not; give it again for several [the worst]."),
    ] = None,
    worst: Annotated[int, typer.Option(min=1, help="How many of the lost, the worst first.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for the WAV files.")] = Path("listen"),
    open_them: Annotated[bool, typer.Option("--open", help="Open them in a player.")] = False,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Write the clips that an encoder lost at a point: changed, as they are, and the intruder."""
    with sentences():
        from nearkin.api import load
        from nearkin.errors import printable
        from nearkin.files import finite
        from nearkin.listening import listen, place_to_hear
        from nearkin.transforms.magnitudes import in_words

        result = load(run)
        place = place_to_hear(
            result.run,
            result.queries,
            encoder=encoder,
            transformation=transformation,
            magnitude=magnitude,
            clip_ids=clip or (),
            distance=distance,
        )
        found, lines = [], []
        if place is not None:
            whose, point = place
            found = listen(
                result.folder,
                result.run,
                result.clips,
                result.queries,
                encoder=whose,
                point=point,
                clip_ids=clip or (),
                distance=distance,
                most=worst,
                out=out,
            )
            lines = [f"{printable(whose)}, {in_words(*point)}"]
        for one in found:
            rank = f"ranks {one.rank} of {result.run['n']}" if one.rank else "was not ranked"
            lines.append(
                f"{printable(one.clip_id)}: its own original {rank} ({one.d_own:.4g}); nearest is "
                f"{printable(one.nearest_id)} ({one.d_nearest:.4g})"
            )
            lines += [f"  {printable(path)}" for path in one.files]
        said = f"sounds: {out}" if found else "no clip is lost there"
        tell([*lines, said], said, quiet=quiet, as_json=as_json)
        if as_json:
            rows = [{**one._asdict(), "files": [str(path) for path in one.files]} for one in found]
            say(json.dumps(finite(rows)))
        if open_them:
            for one in found:
                for path in one.files:
                    typer.launch(str(path))
