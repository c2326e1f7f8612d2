"""Plans and events in words and in JSON: what the user reads.

Pure: values come in, text goes out.
"""
