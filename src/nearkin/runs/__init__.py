"""A run: from recordings to the tables of its folder."""
