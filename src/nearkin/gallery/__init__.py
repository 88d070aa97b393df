"""Distractors: up to millions of vectors that are never changed, only lain among the originals."""

from nearkin.gallery.curve import at_size, beyond, curve_sizes
from nearkin.gallery.search import Nearer, nearer

__all__ = ["Nearer", "at_size", "beyond", "curve_sizes", "nearer"]
