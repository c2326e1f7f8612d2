"""From live and desired to a plan: diff, versions, order, and the proof that every state is safe.

Pure. A plan is complete: whatever apply does, the plan already says.
"""
