"""The machine itself: its clock, its memory and its cores."""
