"""How do pages look, and how does a text stand in one without being read as markup?"""
