"""The reference lines of every report."""
