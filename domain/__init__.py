"""The core: entities, values and policies. Pure, synchronous, free of any technology."""
