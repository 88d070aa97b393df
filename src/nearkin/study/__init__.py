"""The paper's study from audio to a page that answers its findings one by one.

`paper` holds the findings as data, `quantities` what of ours is set beside them, `evidence` reads a
finished study's tables, `rules` and `claims` decide; `plan`, `checks` and `steps` do the study with
the other rooms' own functions, `page` shows it.
"""
