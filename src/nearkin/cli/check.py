"""``nearkin check``: whether an encoder is fit to be tested."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from nearkin.cli.common import EXIT_UNMET, Json, Quiet, fail, say, sentences, tell
from nearkin.cli.flags import Device


def check_command(
    spec: Annotated[str, typer.Argument(help="The encoder, as for --encoder of nearkin run.")],
    encoder_options: Annotated[
        str | None, typer.Option("--encoder-options", help="JSON options of the encoder.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz for an encoder that states no rate [22050].")
    ] = None,
    pool: Annotated[str | None, typer.Option(help="mean, max, meanstd or first [mean].")] = None,
    layer: Annotated[str | None, typer.Option(help="A hidden state's number, or all.")] = None,
    pad: Annotated[str | None, typer.Option(help="zero or loop: lengthen short clips.")] = None,
    device: Device = None,
    trust: Annotated[
        bool | None, typer.Option("--trust", help="Run code that the model's file brings along.")
    ] = None,
    quiet: Quiet = None,
    as_json: Json = None,
) -> None:
    """Check an encoder before it wastes an hour: exit 1 with the reason if it is unfit."""
    with sentences():
        from nearkin.ask import check_all
        from nearkin.cli.settings import options_of
        from nearkin.files import finite

        given = {
            "sample_rate": sample_rate,
            "pool": pool,
            "layer": layer,
            "pad": pad,
            "device": device,
            "trust": trust,
        }
        handling = {name: value for name, value in given.items() if value is not None}
        options = options_of(encoder_options) if encoder_options else {}
        results = check_all(spec, encoder_options=options, **handling)
        faults = [f"{result.encoder}: {text}" for result in results for text in result.faults]
        lines = [line for result in results for line in result.lines()]
        if faults:
            tell(lines, "", quiet=quiet, as_json=True)  # the faults are told on stderr
        else:
            fit = "fit to be tested"
            tell([*lines, fit], fit, quiet=quiet, as_json=as_json)
        if as_json:
            told = [finite(result.as_dict()) for result in results]
            say(json.dumps(told[0] if len(told) == 1 else told))
        if faults:
            fail(f"unfit to be tested: {'; '.join(faults)}", EXIT_UNMET)
