"""How do texts become a set to mint?"""
