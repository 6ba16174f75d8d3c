"""What speaks against an enrolment, in words and for machines."""

from application.enrolment.enrolment_warnings import (
    Blurred,
    EnrolmentWarning,
    FarApart,
    LookAlike,
    NotCompared,
    SameTemplate,
)
from domain.guardrails import below


def in_words(warning: EnrolmentWarning) -> str:
    """Return what is to be said to people."""
    match warning:
        case Blurred(photograph, sharpness, limit):
            return (
                f"{photograph} is blurred or dark: the face's sharpness is {below(limit, sharpness, 1)}, less than "
                f"{limit:.15g}. Such faces look like each other, whosever they are: strangers on photographs as bad "
                "may get this user's name. Enrol again with another photograph."
            )
        case FarApart((one, other), distance, limit):
            return (
                f"{one} and {other} are {distance:.3f} apart, as photographs of two people are: 99 of 100 such pairs "
                f"are more than {limit:.3f} apart. If one of them shows somebody else, the template lies between two "
                "people: enrol again without it."
            )
        case LookAlike(another, distance, limit):
            return (
                f"user {another} is about as near as the same person would be ({distance:.3f} apart, at most "
                f"{limit:.3f}). The photographs may show that user, or that user may be this person's second account."
            )
        case SameTemplate(another):
            return (
                f"user {another} has the same template. Nothing tells the two apart: with a threshold or a margin, "
                "nobody who has it is named on any photograph, unless all but one of them are deleted or blocked. It "
                "may be of a placeholder picture or of somebody else's photograph, or this may be one person with two "
                "accounts."
            )
        case NotCompared(why):
            return f"whether another user looks the same is not known: {why}"


def documented(warning: EnrolmentWarning) -> dict[str, object]:
    """Return a JSON object."""
    told: dict[str, object]
    match warning:
        case Blurred(photograph, sharpness, limit):
            told = {"warning": "blurred", "photograph": photograph, "sharpness": sharpness, "limit": limit}
        case FarApart(photographs, distance, limit):
            told = {"warning": "far_apart", "photographs": photographs, "distance": distance, "limit": limit}
        case LookAlike(another, distance, limit):
            told = {"warning": "look_alike", "user_id": str(another), "distance": distance, "limit": limit}
        case SameTemplate(another):
            told = {"warning": "same_template", "user_id": str(another)}
        case NotCompared():
            told = {"warning": "not_compared"}
    return told | {"message": in_words(warning)}
