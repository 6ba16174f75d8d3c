"""The composition root: what the use cases are made of, and which adapter stands behind which of their ports.

Each of its modules has a container, and imports the drivers that this needs and no others, so that a command pays for
no more than it uses. A container that needs others extends them; what it takes from them often has its name there, too,
since a class does not see what it inherits while it is made. Containers only build; whoever uses them opens and closes
what they built.
"""
