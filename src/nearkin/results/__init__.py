"""Finished runs read: systems, verdicts, comparisons, gates, the paper's analysis.

Tables in; tables or sentences out.
"""
