"""How well trained models do their tasks while the music degrades (paper, sections 4.3 and 5.1).

Each task's own test set is put through every point of the grid with the excerpts, contexts and
loudness matching of a run, and every model of the task scores each changed clip. Conventions: a
score belongs to a clip; a task's score at a point is the mean over its clips, the median for SDR;
intervals are 95 % percentile intervals from one set of resamples of clips for a whole task.
"""

from __future__ import annotations

from nearkin.performance.run import perform

__all__ = ["perform"]
