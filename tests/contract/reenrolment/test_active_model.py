"""While users are switched nobody is looked for among them, and afterwards nobody by another embedder."""

from uuid import uuid4

import pytest

from application.ports.ledger import FaceResult
from domain.decision import NobodyEnrolled
from domain.errors import DatabaseUnavailableError, GalleryNotReadyError
from domain.faces import FaceEmbedding
from domain.outcomes import Reason
from domain.records import Matched
from tests.contract.ledger.jobs import BOX, accepted, header, recorded, unknown
from tests.contract.reenrolment.conftest import Subject

OLD = FaceEmbedding("old@1", (1.0, 0.0, 0.0, 0.0))
NEW = FaceEmbedding("new@1", (0.0, 1.0, 0.0, 0.0))


def nobody(probe: FaceEmbedding) -> FaceResult:
    """Return a face that there was nobody to compare with."""
    return FaceResult(probe, BOX, NobodyEnrolled())


async def is_searched(subject: Subject, probe: FaceEmbedding) -> bool:
    """Tell whether a job finds out who is near, or that nobody is."""
    try:
        await subject.gallery.search(probe, limit=4)
    except GalleryNotReadyError:
        return False
    return True


async def is_active(subject: Subject, model: str) -> bool:
    """Tell whether the gallery is that model's, as a worker asks."""
    try:
        await subject.active(model).check()
    except GalleryNotReadyError:
        return False
    return True


async def prepared_for(subject: Subject, template: FaceEmbedding) -> None:
    """Have a template prepared for somebody who has one of the old embedder."""
    user = subject.tables.add_user(uuid4(), OLD)
    people = await subject.reenrolment.outdated(template.model, after=None, limit=9)
    [found] = [person for person in people if person.user_id == user]
    assert await subject.reenrolment.prepare(found, template, photographs=1)


async def test_before_any_switch_every_embedder_may_be_used(subject: Subject) -> None:
    """The application may have enrolled people with whichever it likes."""
    assert [await is_active(subject, model) for model in (OLD.model, NEW.model)] == [True, True]
    assert [await is_searched(subject, probe) for probe in (OLD, NEW)] == [True, True]
    photo = subject.tables.add_photo(uuid4())
    assert (await subject.ledger.conclude_face(header(photo), nobody(NEW))).outcome.reason is Reason.NO_ENROLLED_USERS


@pytest.mark.parametrize("probe", [OLD, NEW], ids=["by the old one", "by the new one"])
async def test_while_users_are_switched_no_job_is_decided(subject: Subject, probe: FaceEmbedding) -> None:
    """Some are there and some are not: whoever is the nearest then, or nobody, may be wrong. Nothing is written.

    What was searched before is refused when it is written, and a search by itself: its job may be written so late
    that the switch is over.
    """
    photo, user = subject.tables.add_photo(uuid4()), subject.tables.add_user(uuid4(), probe)
    assert await is_searched(subject, probe)
    await prepared_for(subject, NEW)
    await subject.reenrolment.begin(NEW.model)
    assert not await is_active(subject, probe.model)
    assert not await is_searched(subject, probe)
    for result in (accepted(user, probe), unknown(probe), nobody(probe)):
        job = header(photo)
        with pytest.raises(GalleryNotReadyError):
            await subject.ledger.conclude_face(job, result)
        assert (subject.tables.faces(), await recorded(subject.ledger, job.key)) == ([], None)


async def test_after_the_switch_jobs_are_decided_by_the_new_embedder_alone(subject: Subject) -> None:
    """A worker that still has the old one would find nobody, or the few who were left behind."""
    photo, other = subject.tables.add_photo(uuid4()), subject.tables.add_photo(uuid4())
    user, left_behind = subject.tables.add_user(uuid4(), NEW), subject.tables.add_user(uuid4(), OLD)
    await subject.reenrolment.begin(NEW.model)
    await subject.reenrolment.finish(NEW.model)
    assert [await is_active(subject, model) for model in (OLD.model, NEW.model)] == [False, True]
    assert [await is_searched(subject, probe) for probe in (OLD, NEW)] == [False, True]
    with pytest.raises(GalleryNotReadyError):
        await subject.ledger.conclude_face(header(photo), accepted(left_behind, OLD, template=OLD))
    told = await subject.ledger.conclude_face(header(photo), accepted(user, NEW, template=NEW))
    assert isinstance(told.outcome, Matched)
    assert (await subject.ledger.conclude_face(header(other), unknown(NEW))).outcome.reason is Reason.NO_MATCH


async def test_what_needs_no_template_is_told_as_ever(subject: Subject) -> None:
    """That the photo is gone, or matched, or the job ended, is true whosoever the gallery is."""
    photo, user = subject.tables.add_photo(uuid4()), subject.tables.add_user(uuid4(), OLD)
    job = header(photo)
    standing = await subject.ledger.conclude_face(job, accepted(user, OLD))
    await prepared_for(subject, NEW)
    await subject.reenrolment.begin(NEW.model)
    assert await subject.ledger.conclude_face(job, unknown(OLD)) == standing
    reasons = [(await subject.ledger.conclude_face(header(of), unknown(OLD))).outcome.reason for of in (photo, uuid4())]
    assert reasons == [Reason.ALREADY_MATCHED, Reason.PHOTO_NOT_FOUND]


async def test_who_is_switched_later_holds_up_nobody(subject: Subject) -> None:
    """Those who were left behind: the gallery is the new embedder's already."""
    await subject.reenrolment.begin(NEW.model)
    await subject.reenrolment.finish(NEW.model)
    await prepared_for(subject, NEW)
    assert await is_active(subject, NEW.model)
    await subject.reenrolment.begin(NEW.model)
    assert await is_active(subject, NEW.model)


async def test_the_way_back_is_a_switch_like_any_other(subject: Subject) -> None:
    """The last one counts; and who finishes one that another has overtaken changes nothing."""
    await subject.reenrolment.begin(NEW.model)
    await subject.reenrolment.begin(OLD.model)
    assert await subject.reenrolment.finish(NEW.model) is False
    assert [await is_active(subject, model) for model in (OLD.model, NEW.model)] == [False, False]
    assert await subject.reenrolment.finish(OLD.model) is True
    assert [await is_active(subject, model) for model in (OLD.model, NEW.model)] == [True, False]


async def test_whose_templates_are_only_prepared_waits_for_the_switch(subject: Subject) -> None:
    """A worker that has the new embedder too early would find that nobody is enrolled."""
    photo = subject.tables.add_photo(uuid4())
    await prepared_for(subject, NEW)
    assert [await is_active(subject, model) for model in (OLD.model, NEW.model)] == [True, False]
    assert [await is_searched(subject, probe) for probe in (OLD, NEW)] == [True, False]
    assert (await subject.ledger.conclude_face(header(photo), unknown(OLD))).outcome.reason is Reason.NO_MATCH
    await subject.reenrolment.discard()
    assert await is_active(subject, NEW.model)


async def test_an_embedder_that_is_in_use_does_not_wait_for_more_of_its_templates(subject: Subject) -> None:
    """Where the application has enrolled people with it already, jobs go on while the rest are prepared."""
    photo = subject.tables.add_photo(uuid4())
    subject.tables.add_user(uuid4(), NEW)
    await prepared_for(subject, NEW)
    assert await is_active(subject, NEW.model)
    assert await is_searched(subject, NEW)
    assert (await subject.ledger.conclude_face(header(photo), unknown(NEW))).outcome.reason is Reason.NO_MATCH


@pytest.mark.parametrize("mark", [{"deleted": True}, {"blocked": True}])
async def test_whether_an_embedder_is_in_use_is_one_answer(subject: Subject, mark: dict[str, bool]) -> None:
    """Who asks and who searches agree, also where those who have its templates may not be named: no job is failed."""
    subject.tables.add_user(uuid4(), NEW, **mark)
    await prepared_for(subject, NEW)
    is_in_use = "blocked" in mark
    assert [await is_active(subject, NEW.model), await is_searched(subject, NEW)] == [is_in_use, is_in_use]


@pytest.mark.parametrize("replace", [True, False])
async def test_nobody_is_enrolled_with_another_embedder_than_the_gallery_s(subject: Subject, *, replace: bool) -> None:
    """Also where the switch begins after the command has: the user would not be recognised."""
    user = subject.tables.add_user(uuid4())
    await subject.reenrolment.begin(NEW.model)
    for template in (OLD, NEW):
        with pytest.raises(GalleryNotReadyError):
            await subject.enrolment.save_template(user, template, photographs=1, replace=replace)
    await subject.reenrolment.finish(NEW.model)
    with pytest.raises(GalleryNotReadyError):
        await subject.enrolment.save_template(user, OLD, photographs=1, replace=replace)
    assert await subject.enrolment.save_template(user, NEW, photographs=1, replace=replace) is True


async def test_what_a_switch_needs_is_not_discarded_meanwhile(subject: Subject) -> None:
    """It could not be finished, and every job would be held until all is prepared again."""
    await prepared_for(subject, NEW)
    await subject.reenrolment.begin(NEW.model)
    with pytest.raises(GalleryNotReadyError):
        await subject.reenrolment.discard()
    assert len(await subject.reenrolment.prepared(NEW.model, after=None, limit=9)) == 1


async def test_a_gallery_becomes_nobodys_in_whom_nobody_would_be(subject: Subject) -> None:
    """By a slip in the embedder's name, or because what was prepared is discarded in this very moment."""
    user = subject.tables.add_user(uuid4(), OLD)
    assert await subject.reenrolment.begin(NEW.model) is False
    assert await is_active(subject, OLD.model)
    await prepared_for(subject, NEW)
    assert await subject.reenrolment.begin(NEW.model) is True
    assert await subject.reenrolment.half_done() == NEW.model
    assert await subject.reenrolment.switch(NEW.model, [user]) == 0
    assert await subject.reenrolment.begin(NEW.model) is True
    await subject.reenrolment.finish(NEW.model)
    assert await subject.reenrolment.half_done() is None


async def test_without_its_database_nobody_can_tell(subject: Subject) -> None:
    """That is told as what it is."""
    await subject.stop()
    with pytest.raises(DatabaseUnavailableError):
        await subject.active(NEW.model).check()
