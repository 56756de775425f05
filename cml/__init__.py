"""Collaborative metric learning: train one space of users and items, publish it, answer from it.

Importing this package loads nothing heavy; the training half (torch, pandas) is imported by the
modules that need it, the published half (numpy, faiss) by the ones that serve.
"""

__version__ = "0.1.0"
