"""What do all commands share?"""
