"""Exact Wasserstein distances, the GAN family and domain-adapted features.

Knows no other package of this project.
"""
