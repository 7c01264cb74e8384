"""How good is it, and does it copy?"""
