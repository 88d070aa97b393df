"""The command line: arguments to a plan, a call, and what is printed of its result.

Exit codes: 0 done; 1 a requirement was not met; 2 bad usage or input (one sentence on stderr); 3
finished, but some clips or encoders failed (they are listed), or no query at all could be made; 70
an error of nearkin's own (its trace is kept in a file); 130 interrupted. Everything heavy is
imported inside the commands, so that ``nearkin --help`` is quick.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from nearkin.cli.analyze import analyze_command
from nearkin.cli.card import card_command
from nearkin.cli.check import check_command
from nearkin.cli.compare import compare_command
from nearkin.cli.corpus import DATA_SETS, corpus_command
from nearkin.cli.demo import demo_command
from nearkin.cli.endings import obey_signals, sentences
from nearkin.cli.exchange import export_command, score_command
from nearkin.cli.figures import figures_command
from nearkin.cli.finetune import finetune_command
from nearkin.cli.gallery import gallery_command
from nearkin.cli.gate import gate_command
from nearkin.cli.list import list_command
from nearkin.cli.listen import listen_command
from nearkin.cli.perceive import perceive_command
from nearkin.cli.perform import perform_command
from nearkin.cli.repair import repair_command
from nearkin.cli.report import report_command
from nearkin.cli.reproduce import reproduce_command
from nearkin.cli.run import run_command
from nearkin.cli.table import table_command
from nearkin.cli.telling import open_closed_streams, say
from nearkin.cli.train import train_command
from nearkin.cli.trajectories import trajectories_command
from nearkin.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Can a music embedding be trusted? Changes clips of music from imperceptibly to gravely "
    "and asks whether the changed clip still lies nearest its own original.",
)


def _tell_version(asked: bool) -> None:
    if asked:
        from nearkin import __version__

        say(f"nearkin {__version__}")
        raise typer.Exit


@app.callback()
def _whole(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
) -> None:
    """Hold the options of the program itself; what it is for stands in its help."""


app.command("demo")(demo_command)
app.command("run")(run_command)
app.command("check")(check_command)
app.command("analyze")(analyze_command)
app.command("compare")(compare_command)
app.command("gate")(gate_command)
app.command("export")(export_command)
app.command("score")(score_command)
app.command("corpus", epilog=DATA_SETS)(corpus_command)
app.command("train")(train_command)
app.command("table")(table_command)
app.command("figures")(figures_command)
app.command("card")(card_command)
app.command("report")(report_command)
app.command("listen")(listen_command)
app.command("perform")(perform_command)
app.command("perceive")(perceive_command)
app.command("gallery")(gallery_command)
app.command("trajectories")(trajectories_command)
app.command("repair")(repair_command)
app.command("finetune")(finetune_command)
app.command("reproduce")(reproduce_command)
app.command("list")(list_command)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(50_000)  # 700 counts 100,000 paths again and again: half of the start
    open_closed_streams()
    obey_signals()
    try:
        with sentences(computes=False):  # each command asks for itself; help needs no library
            if sys.flags.optimize > 1:
                raise InputError("python -OO: altair cannot draw without docstrings; use -O")
            app()
    except typer.Exit as left:
        sys.exit(left.exit_code)
