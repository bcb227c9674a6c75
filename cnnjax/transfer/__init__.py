"""Transfer learning, and learning with few labels."""

__all__: list[str] = []
