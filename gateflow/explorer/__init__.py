"""A page to play with: gates are typed, numbers are slid, and curves, times, proofs and orders follow.

`asked` is what a page may ask, `answers` are the numbers that follow a slider, `theory` the proofs that come after
them, `lines` the commands that give the same. `worker` computes these in a process of its own, and `server` stands
between it and the page, which is in ``page/``. `exploration` opens all of it from Python and from the command line.
"""
