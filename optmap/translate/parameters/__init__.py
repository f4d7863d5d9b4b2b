"""The parameters argument of an optimizer: groups, where they come from, and what is advised about them."""
