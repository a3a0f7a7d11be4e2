"""Markov chain Monte Carlo over directed acyclic graphs."""
