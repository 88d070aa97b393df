"""The report: a run's tables in, one page and its figures out."""
