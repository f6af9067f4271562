"""What the guardian runs, too: it has this folder on its path, and no package around it.

So these modules import the standard library and each other, nothing else.
"""
