"""What is wrong with a mesh at rest: configurations that no order of writes could save.

Pure: objects in, findings out. ``checks.check`` is the way in, ``checks.catalogue`` lists what can be found.
"""
