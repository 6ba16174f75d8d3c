"""What all detectors share."""

from adapters.vision.detection.detectors import Found, distinct


def test_a_face_seen_twice_is_one_face() -> None:
    """Of two squares on the same centre, at different scales, the more certain one stays."""
    certain, again = Found(100, 100, 80, 0.9), Found(90, 110, 110, 0.6)
    assert distinct([again, certain]) == [certain]


def test_two_heads_together_are_two_faces() -> None:
    """Faces cheek by cheek, nearly a side apart, stay two, the more certain one first."""
    left, right = Found(100, 100, 80, 0.7), Found(165, 110, 80, 0.8)
    assert distinct([left, right]) == [right, left]
