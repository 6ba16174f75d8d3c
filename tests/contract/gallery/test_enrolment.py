"""What any enrolment stores."""

import math
from uuid import uuid4

import pytest

from application.ports.gallery import Enrolment
from domain.decision import Candidate
from domain.errors import DatabaseUnavailableError
from domain.faces import FaceEmbedding
from tests.contract.gallery.conftest import Subject

TEMPLATE = FaceEmbedding("model@1", (0.5, 0.5, 0.5, 0.5))


def test_it_is_an_enrolment(subject: Subject) -> None:
    """The adapter satisfies the port."""
    enrolment: Enrolment = subject.enrolment
    assert enrolment is subject.enrolment


async def test_only_the_applications_users_exist(subject: Subject) -> None:
    """With or without a template; not whom the application has deleted."""
    plain, enrolled = subject.tables.add_user(uuid4()), subject.tables.add_user(uuid4(), TEMPLATE)
    deleted = subject.tables.add_user(uuid4(), deleted=True)
    asked = (plain, enrolled, deleted, uuid4())
    assert [await subject.enrolment.user_exists(user) for user in asked] == [True, True, False, False]


async def test_whom_there_is_nothing_to_learn_of_can_be_asked(subject: Subject) -> None:
    """Who has a template, of whatever embedder or an unknown one, or is deleted; not who is unknown, or blocked."""
    tables = subject.tables
    mine = tables.add_user(uuid4(), TEMPLATE)
    other = tables.add_user(uuid4(), FaceEmbedding("model@2", TEMPLATE.vector))
    unknown, plain, half, blocked, deleted = (tables.add_user(uuid4()) for _ in range(5))
    tables.write_embedding(unknown, None, TEMPLATE.vector)
    tables.write_embedding(half, TEMPLATE.model, None)
    tables.mark_user(blocked, blocked=True)
    tables.mark_user(deleted, deleted=True)
    tables.add_user(uuid4(), TEMPLATE)
    asked = [mine, other, unknown, plain, half, blocked, deleted, uuid4()]
    assert set(await subject.enrolment.not_to_enrol(asked)) == {mine, other, unknown, deleted}
    assert set(await subject.enrolment.not_to_enrol([])) == set()


async def test_a_template_is_replaced_unless_it_must_not_be(subject: Subject) -> None:
    """Then whoever has one keeps it, with what is known of it; who has none gets one, unless they have gone."""
    user, plain = subject.tables.add_user(uuid4()), subject.tables.add_user(uuid4())
    await subject.enrolment.save_template(user, TEMPLATE, photographs=3)
    other = FaceEmbedding("model@1", (1.0, 0.0, 0.0, 0.0))
    assert await subject.enrolment.save_template(user, other, photographs=1, replace=False) is False
    assert await subject.enrolment.save_template(plain, other, photographs=2, replace=False) is True
    gone = subject.tables.add_user(uuid4(), deleted=True)
    assert await subject.enrolment.save_template(gone, other, photographs=2, replace=False) is False
    subject.tables.mark_user(gone)
    found = list((await subject.gallery.search(TEMPLATE, limit=9)).nearest)
    assert [(candidate.user_id, candidate.photographs) for candidate in found] == [(user, 3), (plain, 2)]


async def test_who_is_enrolled_is_found_at_once(subject: Subject) -> None:
    """The next search sees the template, and nobody else has got one."""
    user, _ = subject.tables.add_user(uuid4()), subject.tables.add_user(uuid4())
    assert await subject.enrolment.save_template(user, TEMPLATE, photographs=1) is True
    assert list((await subject.gallery.search(TEMPLATE, limit=9)).nearest) == [Candidate(user, 0.0, photographs=1)]


async def test_a_new_template_replaces_the_old_one_and_its_model(subject: Subject) -> None:
    """After a change of embedder the user is a candidate of the new one only."""
    user = subject.tables.add_user(uuid4(), TEMPLATE)
    new = FaceEmbedding("model@2", (0.0, 1.0, 0.0, 0.0))
    assert await subject.enrolment.save_template(user, new, photographs=3) is True
    assert list((await subject.gallery.search(TEMPLATE, limit=9)).nearest) == []
    assert list((await subject.gallery.search(new, limit=9)).nearest) == [Candidate(user, 0.0, photographs=3)]


async def test_what_the_application_writes_is_of_unknown_making(subject: Subject) -> None:
    """Where it overwrites a template, what was known of the old one does not count for the new one."""
    user = subject.tables.add_user(uuid4())
    await subject.enrolment.save_template(user, TEMPLATE, photographs=3)
    subject.tables.write_embedding(user, TEMPLATE.model, (1.0, 0.0, 0.0, 0.0))
    [candidate] = (await subject.gallery.search(TEMPLATE, limit=9)).nearest
    assert (candidate.user_id, candidate.photographs) == (user, None)
    await subject.enrolment.save_template(user, TEMPLATE, photographs=2)
    assert list((await subject.gallery.search(TEMPLATE, limit=9)).nearest) == [Candidate(user, 0.0, photographs=2)]


async def test_the_others_are_found_whoever_may_be_named(subject: Subject) -> None:
    """The nearest come first, without the user's own template, with deleted and blocked users; all are counted."""
    user, blocked, far = (subject.tables.add_user(uuid4()) for _ in range(3))
    deleted = subject.tables.add_user(uuid4(), FaceEmbedding("model@1", (0.5, 0.5, 0.5, -0.5)), deleted=True)
    other_model = FaceEmbedding("model@2", TEMPLATE.vector)
    subject.tables.add_user(uuid4(), other_model)
    subject.tables.add_user(uuid4())
    for each, vector, photographs in ((user, (1, 1, 1, 1), 1), (blocked, (1, 1, 1, 0), 2), (far, (-1, 0, 0, 0), 3)):
        await subject.enrolment.save_template(each, FaceEmbedding("model@1", vector), photographs=photographs)
    subject.tables.mark_user(blocked, blocked=True)
    others = await subject.enrolment.others(user, TEMPLATE, limit=2)
    assert others.count == 3
    assert [(other.user_id, other.photographs) for other in others.nearest] == [(blocked, 2), (deleted, None)]
    assert [other.distance for other in others.nearest] == pytest.approx([1 - math.sqrt(0.75), 0.5], abs=1e-6)


async def test_a_template_that_cannot_be_compared_is_nobody_near(subject: Subject) -> None:
    """Where the application has written zeros, or all but zeros, however many, the others are found."""
    other = subject.tables.add_user(uuid4(), TEMPLATE)
    for length in (0.0, *[1e-30] * 18):
        subject.tables.write_embedding(subject.tables.add_user(uuid4()), TEMPLATE.model, (length,) * 4)
    others = await subject.enrolment.others(uuid4(), TEMPLATE, limit=4)
    assert (others.count, [found.user_id for found in others.nearest]) == (20, [other])


async def test_who_has_the_same_template_as_another_is_known(subject: Subject) -> None:
    """Each with the first of the others, whoever may be named; a template of another model is not the same."""
    tables, other = subject.tables, FaceEmbedding("model@1", (0.5, 0.5, 0.5, 0.5000001))
    first, second, blocked = sorted(tables.add_user(uuid4(), TEMPLATE) for _ in range(3))
    tables.mark_user(blocked, blocked=True)
    tables.add_user(uuid4(), other)
    tables.add_user(uuid4(), FaceEmbedding("model@2", TEMPLATE.vector))
    for _ in range(2):
        tables.add_user(uuid4())
    assert await subject.enrolment.same_templates("model@1") == {first: second, second: first, blocked: first}
    assert await subject.enrolment.same_templates("model@3") == {}


async def test_nobody_is_made_up(subject: Subject) -> None:
    """For a user who is not there nothing is written."""
    stranger = uuid4()
    assert await subject.enrolment.save_template(stranger, TEMPLATE, photographs=1) is False
    assert await subject.enrolment.user_exists(stranger) is False
    assert list((await subject.gallery.search(TEMPLATE, limit=9)).nearest) == []


async def test_without_its_database_every_method_says_so(subject: Subject) -> None:
    """The one error of the port, from each of them."""
    await subject.stop()
    with pytest.raises(DatabaseUnavailableError):
        await subject.enrolment.user_exists(uuid4())
    with pytest.raises(DatabaseUnavailableError):
        await subject.enrolment.not_to_enrol([uuid4()])
    with pytest.raises(DatabaseUnavailableError):
        await subject.enrolment.save_template(uuid4(), TEMPLATE, photographs=1)
    with pytest.raises(DatabaseUnavailableError):
        await subject.enrolment.others(uuid4(), TEMPLATE, limit=1)
    with pytest.raises(DatabaseUnavailableError):
        await subject.enrolment.same_templates("model@1")
