"""Carry out a plan: write a step, wait for the Envoys, tell what happens.

It reaches the world through ``ports`` only, decides nothing, and emits typed events.
"""
