"""The worst change of a given strength: the one that leads an embedding astray, found by search.

Numpy and torch tensors in, numpy out: what embeds comes as a function. Paper, section 6.5.
"""
