"""What a student kept of its teacher, what it saved and how fast it is: measured, stored, reckoned, shown.

`measuring` runs the models; `stored` is what it finds, in memory and on disk; `figures` are computed from that alone,
now or years later; `plots` and `pages` show them, and `writing` does it all. No PyTorch.
"""
