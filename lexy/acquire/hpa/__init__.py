"""The Human Protein Atlas: its addresses, its XML, and the index of its fields."""
