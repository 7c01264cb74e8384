"""What is a trained model, and how does it write?"""
