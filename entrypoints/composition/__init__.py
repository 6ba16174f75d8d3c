"""The composition root, by room: what the use cases are made of, and which adapter stands behind which of their ports.

Each room imports the drivers that it needs and no others, so that a command pays for no more than it uses. A room that
needs others extends them; what it takes from them often has its name there, too, since a class does not see what it
inherits while it is made. Rooms only build; whoever uses them opens and closes what they built.
"""
