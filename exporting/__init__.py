"""How does a model leave this program?"""
