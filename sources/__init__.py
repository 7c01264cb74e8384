"""How does a download become a text?"""
