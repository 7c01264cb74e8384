"""How does a model learn, alone and in a queue?"""
