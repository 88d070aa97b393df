"""Repair: learn from a run's embeddings a linear map against what was lost, and test it held out.

Clips of one group (track) are always on one side, and each transformation is also left out, so that
every number is of music, and on request of a change, that the map never saw.
"""
