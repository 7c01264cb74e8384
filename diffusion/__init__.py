"""What is the mathematics?"""
