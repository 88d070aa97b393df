"""A gate's outcomes for others to read: JUnit XML, a Markdown table, a badge."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from nearkin.errors import printable
from nearkin.results.badge import BAD, GOOD, badge_svg
from nearkin.results.gate import Outcome

_HEAD = re.compile(
    rb"<\?xml version='1\.0' encoding='utf-8'\?>\n<testsuites [^>]*>\s*"
    rb'<testsuite name="nearkin gate [^>]*>'
)


def junit(outcomes: Sequence[Outcome], *, run: str, problem: str = "") -> bytes:
    """Return JUnit XML: a test case a requirement.

    Parameters
    ----------
    outcomes : sequence of Outcome
        What was judged.
    run : str
        The run's name.
    problem : str
        Why nothing could be judged: one test case in error.

    Returns
    -------
    bytes
        UTF-8 XML.
    """
    unmet = sum(not outcome.met for outcome in outcomes)
    count = {"tests": str(len(outcomes) + bool(problem)), "failures": str(unmet)}
    count["errors"] = str(int(bool(problem)))
    suites = ET.Element("testsuites", count)
    suite = ET.SubElement(suites, "testsuite", {"name": f"nearkin gate {printable(run)}", **count})
    named = {"classname": f"nearkin.gate.{printable(run)}"}
    for outcome in outcomes:
        name = printable(str(outcome.requirement))
        case = ET.SubElement(suite, "testcase", {**named, "name": name})
        told = printable(outcome.sentence())
        if not outcome.met:
            ET.SubElement(case, "failure", {"message": told}).text = told
        else:
            ET.SubElement(case, "system-out").text = told
    if problem:
        case = ET.SubElement(suite, "testcase", {**named, "name": "requirements"})
        ET.SubElement(case, "error", {"message": printable(problem)}).text = printable(problem)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def is_junit(data: bytes) -> bool:
    """Tell whether a file is XML as `junit` writes it, with no other suite in it.

    Examples
    --------
    >>> is_junit(junit([], run="r")), is_junit(b"<testsuites/>")
    (True, False)
    """
    return _HEAD.match(data) is not None and data.count(b"<testsuite ") == 1


def markdown(outcomes: Sequence[Outcome], *, run: str, problem: str = "") -> str:
    """Return a Markdown section: a row a requirement, as the page of a CI shows it.

    Parameters
    ----------
    outcomes : sequence of Outcome
        What was judged.
    run : str
        The run's name.
    problem : str
        Why nothing could be judged.

    Returns
    -------
    str
        Ends in a line break.
    """
    n_met = sum(outcome.met for outcome in outcomes)
    heading = f"### nearkin gate, {_cell(run)}: "
    if problem:
        return f"{heading}could not be judged\n\n{_cell(problem)}\n"
    lines = [
        f"{heading}{n_met} of {len(outcomes)} met",
        "",
        "| | requirement | found | where |",
        "|---|---|---|---|",
    ]
    for outcome in outcomes:
        found = "undefined" if math.isnan(outcome.value) else f"{outcome.value:.3g}"
        if not math.isnan(outcome.ci_low):
            found += f" [{outcome.ci_low:.3g}, {outcome.ci_high:.3g}]"
        where = [part for part in (outcome.encoder, outcome.distance, outcome.where) if part]
        if outcome.places > 1:
            where.append(f"{outcome.held} of {outcome.places} hold")
        cells = ("met" if outcome.met else "**unmet**", str(outcome.requirement), found)
        told = (cells[0], f"`{_cell(cells[1], code=True)}`", cells[2], _cell(", ".join(where)))
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def gate_badge(outcomes: Sequence[Outcome]) -> str:
    """Return an SVG badge: how many requirements are met."""
    n_met = sum(outcome.met for outcome in outcomes)
    told = f"{n_met} of {len(outcomes)} requirements met"
    unmet = "; ".join(outcome.sentence() for outcome in outcomes if not outcome.met)
    colour = GOOD if n_met == len(outcomes) else BAD
    return badge_svg(told, colour=colour, title=printable(unmet or told))


def _cell(text: str, *, code: bool = False) -> str:
    """Write text that stays text in a Markdown table."""
    plain = printable(" ".join(text.split())).replace("|", "\\|")
    if code:
        return plain.replace("`", "'")
    for sign in "\\`*_<>[]":
        plain = plain if sign == "\\" else plain.replace(sign, f"\\{sign}")
    return plain
