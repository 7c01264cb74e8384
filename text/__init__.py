"""How does a text file become numbers?"""
