"""Rendered corpora: music21's scores played by a General MIDI SoundFont, exactly labelled.

A clip is a passage of a score, arranged, played and mixed by chance; every chance is drawn from a
stream named by the seed and the clip's number, so that a clip never depends on another one, on
`hours` or on the number of workers. A score's work (mass, cantata, quartet, tune title) is its
group, and a group is in one split only.

Nothing here ships with nearkin. The scores are those of the user's installed music21 (their
encoders reserved some rights, a part of them for non-commercial use only: see music21's
``corpus/license.txt``), the sounds are those of TimGM6mb.sf2 (GPL-2), which is loaded from the
user's installed pretty_midi and never copied. Whoever passes renderings on minds both.
"""
