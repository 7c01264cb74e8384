"""Is a text fit to learn from?"""
